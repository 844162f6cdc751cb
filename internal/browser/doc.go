// Package browser is the console in a browser: Debian's chromium, on a stage where everything is
// real. One stage serves all tests; each has an organization of its own on it. People are found
// what they look for by roles and names, as they are on the page, in both languages.
package browser
