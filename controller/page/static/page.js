// Keeps an open page up to date. The server sends HTML; this script puts it in place, so that the focus, the selection and
// opened details stay. Ages run on the browser's own monotonic clock: its wall clock may be wrong.
"use strict";
(function () {
  var live = document.getElementById("live"), freshness = document.getElementById("freshness");
  var announced = document.getElementById("announced"), events = null, asked = 0, old = null;
  var heard = performance.now(), QUIET_MS = 5000, AGAIN_MS = 10000, ALL_MS = 3000, SILENT_MS = 12000, DAY_MS = 12 * 3600000;

  function times(root) {
    // hotdesk's clock: this browser's own may be wrong
    var now = Number(live.dataset.now) + performance.now();
    root.querySelectorAll("time[data-ms]").forEach(function (each) {
      var at = new Date(Number(each.dataset.ms));
      if (!each.title) { each.title = each.textContent; }
      each.textContent = now - at < DAY_MS ? at.toLocaleTimeString(undefined, { timeStyle: "medium" })
        : at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
    });
  }

  // What a person opened stays open, though the server knows nothing of it.
  var KEPT = { beforeAttributeUpdated: function (name) { return name !== "open"; } };

  // While the pointer is over the table, its rows keep their order, so that no other dialer slips under the pointer.
  function keepOrder(fresh) {
    var rows = document.querySelector("#rows:hover"), other = fresh.querySelector("#rows");
    if (!rows || !other) { return; }
    Array.from(rows.children).forEach(function (row) {
      var same = Array.from(other.children).find(function (each) { return each.id === row.id; });
      if (same) { other.appendChild(same); }
    });
  }

  function show(html) {
    var fresh = new DOMParser().parseFromString("<div>" + html + "</div>", "text/html").body.firstChild;
    times(fresh);
    keepOrder(fresh);
    Idiomorph.morph(live, fresh.innerHTML, { morphStyle: "innerHTML", restoreFocus: true, callbacks: KEPT });
  }

  function hear() { heard = performance.now(); tell(); }

  function tell() {
    var seconds = Math.round((performance.now() - heard) / 1000), quiet = performance.now() - heard > QUIET_MS;
    freshness.textContent = quiet ? "No update for " + seconds + " s: this page is out of date" : "Live";
    freshness.classList.toggle("old", quiet);
    live.classList.toggle("old", quiet);
    if (quiet !== old) { announced.textContent = quiet ? "This page is out of date." : old === null ? "" : "Live again."; }
    old = quiet;
    if (events && !document.hidden && performance.now() - asked > SILENT_MS && quiet) { connect(); }
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
    disconnect();
    asked = performance.now();
    events = new EventSource(live.dataset.events);
    events.addEventListener("page", function (event) { show(JSON.parse(event.data)); hear(); });
    events.addEventListener("alive", hear);
    events.addEventListener("error", function () {
      // an answer without a stream (too many viewers, or signed out) ends it for good: load the page again now and then
      if (events && events.readyState === EventSource.CLOSED) {
        window.setTimeout(function () { if (!document.hidden) { lookAgain(); connect(); } }, AGAIN_MS);
      }
    });
  }

  times(document);
  tell();
  window.setInterval(tell, 1000);
  function disconnect() {
    if (events) { events.close(); events = null; }
  }

  // a browser opens only a few connections to one server, and a hidden page needs none
  document.addEventListener("visibilitychange", function () {
    if (live.dataset.events && document.hidden) { disconnect(); } else if (live.dataset.events) { connect(); }
  });

  // the page of one cluster gets events; the page of all clusters is loaded again now and then
  if (live.dataset.events) { connect(); } else { window.setInterval(lookAgain, ALL_MS); }
})();
