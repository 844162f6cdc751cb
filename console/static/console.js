// What pages do beyond HTML: they look for changes while they are open, and a form is sent
// once. Everything can be read and done without this.
"use strict";

// What was done is said once, and not again when the page is loaded again.
if (new URL(location.href).searchParams.has("did")) {
  const here = new URL(location.href);
  here.searchParams.delete("did");
  history.replaceState(null, "", here);
}

const trouble = document.getElementById("trouble");

// refresh asks for the page again and takes over the parts that may change, except those in
// which somebody is working.
async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
  if (answer.type === "opaqueredirect") return location.reload();
  if (!answer.ok) throw new Error(answer.status);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const parts = (page) => [...page.querySelectorAll("[data-part]")].map((part) => part.id).join();
  const busy = document.querySelector("main details[open] form, main input:checked[form], main :focus:is(input, select)");
  if (parts(fresh) !== parts(document) && !busy) {
    const now = fresh.querySelector("main"), was = document.querySelector("main");
    was.replaceChildren(...now.childNodes);
    return once();
  }
  for (const part of document.querySelectorAll("[data-part]")) {
    const now = fresh.getElementById(part.id);
    if (!now || now.innerHTML === part.innerHTML) continue;
    if (part.contains(document.activeElement) && part !== document.activeElement) continue;
    if (part.querySelector("details[open], input:checked[form]")) continue;
    part.replaceChildren(...now.childNodes);
  }
  if (busy) return;
  const old = document.querySelectorAll("main > .actions"), next = fresh.querySelectorAll("main > .actions");
  old.forEach((one, i) => next[i] && one.innerHTML !== next[i].innerHTML && !one.contains(document.activeElement) && one.replaceChildren(...next[i].childNodes));
  once();
}

function watch() {
  let wait = 1000, source;
  const open = () => {
    source = new EventSource(location.href);
    const well = () => { trouble.hidden = true; wait = 1000; };
    // What changed between the page and the first look is known to neither.
    source.addEventListener("ready", () => refresh().then(well, () => { trouble.hidden = false; }));
    source.addEventListener("beat", () => { wait = 1000; });
    source.addEventListener("changed", () => refresh().then(well, () => { trouble.hidden = false; }));
    source.addEventListener("trouble", () => { trouble.hidden = false; });
    source.addEventListener("end", () => location.reload());
    source.onerror = () => {
      source.close();
      setTimeout(() => { if (wait > 2000) trouble.hidden = false; }, wait);
      setTimeout(() => { open(); refresh().then(well, () => { trouble.hidden = false; }); }, wait);
      wait = Math.min(wait * 2, 15000);
    };
  };
  open();
  addEventListener("pagehide", () => source.close());
}

// A page that comes back from the browser's memory is asked for again: somebody may have signed out.
addEventListener("pageshow", (e) => e.persisted && location.reload());

// once keeps a form from being sent twice by a double click. The server would do it once all
// the same, by the form's key.
function once() {
  for (const form of document.querySelectorAll("form[method=post]")) {
    if (form.dataset.once) continue;
    form.dataset.once = "yes";
    form.addEventListener("submit", (e) => {
      if (form.dataset.sent) return e.preventDefault();
      form.dataset.sent = "yes";
      setTimeout(() => { delete form.dataset.sent; }, 10000);
    });
  }
}

const drop = document.getElementById("drop");
if (drop) {
  const file = drop.querySelector("input[type=file]");
  const over = (e) => { e.preventDefault(); drop.classList.add("over"); };
  document.addEventListener("dragover", over);
  document.addEventListener("dragleave", () => drop.classList.remove("over"));
  document.addEventListener("drop", (e) => {
    e.preventDefault();
    drop.classList.remove("over");
    if (e.dataTransfer.files.length) { file.files = e.dataTransfer.files; drop.requestSubmit(); }
  });
}

once();
if (document.body.dataset.live === "true" && window.EventSource) watch();
