#!/usr/bin/env bash
# Checks both modules for known vulnerabilities that their code reaches. The database is
# asked over the network; where it cannot be reached it is made from the module
# golang.org/x/vulndb, which has the same reports, and where that cannot be had
# either, nothing is checked and this says so. Vulnerabilities of modules are an error.
# Those of Go itself are shown: they are fixed by building with a newer Go.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$PWD/.bin

# check collects what govulncheck prints about each module, and the worst of its exit
# codes: 3 is a vulnerability, any other an error, which counts for more.
check() {
  status=0 out=
  for module in . internal/faults; do
    code=0
    out+=$("$bin/govulncheck" -C "$module" "$@" ./... 2>&1)$'\n' || code=$?
    if [[ $code -ne 0 && ($status -eq 0 || $status -eq 3) ]]; then status=$code; fi
  done
}

check
if [[ $status -ne 0 && $out == *"fetching vulnerabilities"* ]]; then
  pinned=$(mktemp -d) && trap 'rm -rf "$pinned"' EXIT
  found=$(cd "$pinned" && go mod download -json golang.org/x/vulndb@latest 2>/dev/null) || found=
  dir=$(sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$found")
  version=$(sed -n 's/^\t"Version": "\(.*\)",$/\1/p' <<<"$found")
  if [[ -z $dir ]] || ! (cd "$pinned" && go run "golang.org/x/vulndb/cmd/indexdb@$version" -vulns "$dir/data/osv" -out "$pinned/db"); then
    echo "KNOWN VULNERABILITIES WERE NOT CHECKED: their database cannot be reached from here"
    exit 0
  fi
  echo "vulnerabilities known to golang.org/x/vulndb $version"
  check -db "file://$pinned/db"
fi
if [[ $status -ne 0 && $status -ne 3 ]]; then
  echo "$out"
  exit "$status"
fi
grep -E '^(Vulnerability|    (Found|Fixed) in|  Module|Your code|No vuln)' <<<"$out" || echo "$out"
if grep -q '^  Module:' <<<"$out"; then exit 1; fi
if [[ $status -eq 3 ]]; then echo "All of them are in Go's standard library: build with the newest patch release of Go."; fi
