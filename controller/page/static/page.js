// Keeps an open page up to date. What it shows comes from the server as HTML; here it is only put in place, so that focus,
// selection and what was opened stay. Time passes on the browser's own monotonic clock: its wall clock may be wrong.
"use strict";
(function () {
  var live = document.getElementById("live"), freshness = document.getElementById("freshness");
  var heard = performance.now(), QUIET_MS = 5000, AGAIN_MS = 10000, ALL_MS = 3000;

  function times(root) {
    root.querySelectorAll("time[data-ms]").forEach(function (each) {
      var at = new Date(Number(each.dataset.ms));
      if (!each.title) { each.title = each.textContent; }
      each.textContent = at.toLocaleTimeString(undefined, { timeStyle: "medium" });
    });
  }

  // Makes `was` equal to `now` and leaves alone what is the same; elements with an id are found again wherever they went.
  function morph(was, now) {
    if (was.isEqualNode(now)) { return; }
    if (was.nodeType !== now.nodeType || was.nodeName !== now.nodeName) { was.replaceWith(now.cloneNode(true)); return; }
    if (was.nodeType !== Node.ELEMENT_NODE) { was.nodeValue = now.nodeValue; return; }
    Array.from(was.attributes).forEach(function (each) {
      if (!now.hasAttribute(each.name) && each.name !== "open") { was.removeAttribute(each.name); }
    });
    Array.from(now.attributes).forEach(function (each) {
      if (each.name !== "open" && was.getAttribute(each.name) !== each.value) { was.setAttribute(each.name, each.value); }
    });
    var known = new Map();
    Array.from(was.children).forEach(function (each) { if (each.id) { known.set(each.id, each); } });
    var at = was.firstChild;
    Array.from(now.childNodes).forEach(function (wanted) {
      var found = wanted.id ? known.get(wanted.id) : null;
      if (!found && at && !at.id && !wanted.id && at.nodeName === wanted.nodeName) { found = at; }
      if (!found) { was.insertBefore(wanted.cloneNode(true), at); return; }
      if (found === at) { at = at.nextSibling; } else { was.insertBefore(found, at); }
      morph(found, wanted);
    });
    while (at) { var next = at.nextSibling; at.remove(); at = next; }
  }

  function show(html) {
    var fresh = new DOMParser().parseFromString("<div>" + html + "</div>", "text/html").body.firstChild;
    var focused = document.activeElement && document.activeElement.id;
    times(fresh);
    Array.from(fresh.attributes).forEach(function (each) { fresh.removeAttribute(each.name); });
    Array.from(live.attributes).forEach(function (each) { fresh.setAttribute(each.name, each.value); });
    morph(live, fresh);
    var again = focused && document.activeElement === document.body && document.getElementById(focused);
    if (again) { again.focus(); }
  }

  function hear() { heard = performance.now(); tell(); }

  function tell() {
    var seconds = Math.round((performance.now() - heard) / 1000), quiet = performance.now() - heard > QUIET_MS;
    freshness.textContent = quiet ? "No news for " + seconds + " s: what you see is old" : "Live";
    freshness.classList.toggle("old", quiet);
    live.classList.toggle("old", quiet);
  }

  function lookAgain() {
    fetch(location.href, { credentials: "same-origin", cache: "no-store" })
      .then(function (answer) {
        if (answer.redirected) { location.reload(); }
        return answer.ok ? answer.text() : "";
      })
      .then(function (text) {
        var found = text && new DOMParser().parseFromString(text, "text/html").getElementById("live");
        if (found) { show(found.innerHTML); hear(); }
      }, function () {});
  }

  function connect() {
    var events = new EventSource(live.dataset.events);
    events.addEventListener("page", function (event) { show(JSON.parse(event.data)); hear(); });
    events.addEventListener("alive", hear);
    events.addEventListener("error", function () {
      // an answer that is no stream (full, or signed out) ends it for good: then look now and then
      if (events.readyState === EventSource.CLOSED) {
        window.setTimeout(function () { lookAgain(); connect(); }, AGAIN_MS);
      }
    });
  }

  times(document);
  tell();
  window.setInterval(tell, 1000);
  // one cluster tells its news; of all of them this looks now and then
  if (live.dataset.events) { connect(); } else { window.setInterval(lookAgain, ALL_MS); }
})();
