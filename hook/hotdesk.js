// SPDX-FileCopyrightText: The hotdesk authors
// SPDX-License-Identifier: MIT
//
// Runs at the end of the agent's screen after hotdesk has replaced the alias by a phone.
(function (options) {
  "use strict";

  // Forms and links of this page contain the alias that was typed.
  document.querySelectorAll('input[name="phone_login"]').forEach(function (input) {
    if (input.value === options.phone) { input.value = options.alias; }
  });
  document.querySelectorAll('a[href*="phone_login="], a[href*="pl="]').forEach(function (link) {
    var url = new URL(link.href);
    ["phone_login", "pl"].forEach(function (name) {
      if (url.searchParams.get(name) === options.phone) {
        url.searchParams.set(name, options.alias);
        link.href = url.href;
      }
    });
  });
  if (typeof window.original_phone_login === "string") { window.original_phone_login = options.alias; }
  if (!options.screen) { return; }

  var ASK_EVERY_MS = 1000, ASK_AT_MOST = 10, LOOK_EVERY_MS = 250, READ_MS = 1500, LOGOUT_MS = 10000,
    SAID_MS = 5000, REFUSED_MS = 65000, SPREAD_MS = 10000, REFUSED = "hotdesk_refused";

  // A browser slows the timers of a hidden page down, to one a minute in the end, and not those of a Web Worker. A page
  // that may have no worker, as a Content-Security-Policy can say, has its own timers; they count in any case.
  var waiting = {}, numbers = 0, worker = null;
  try {
    worker = new Worker(URL.createObjectURL(new Blob(
      ["onmessage = function (asked) { setTimeout(function () { postMessage(asked.data.number); }, asked.data.ms); };"],
      { type: "text/javascript" })));
    worker.onmessage = function (told) { run(told.data); };
    worker.onerror = function (refused) { worker = null; refused.preventDefault(); };
  } catch (refused) {
    worker = null;
  }

  function later(what, ms) {
    var number = ++numbers;
    waiting[number] = what;
    window.setTimeout(function () { run(number); }, ms);
    if (worker) { worker.postMessage({ number: number, ms: ms }); }
  }

  function run(number) {
    var what = waiting[number];
    delete waiting[number];
    if (what) { what(); }
  }

  // An agent who logs out by hand, or whose shift is over, is not logged in again, even if hotdesk planned a move. An
  // agent whose logout was refused, as in a call, has not left: there is no link back then.
  var byHand = false, OTHERS = ["NORMAL", "CLOSE", "SHIFT", "TIMEOUT", "READY_TIMEOUT"];
  if (typeof window.LogouT === "function") {
    var logOut = window.LogouT;
    window.LogouT = function (reason) {
      var result = logOut.apply(this, arguments);
      if (OTHERS.indexOf(reason) >= 0 && relogin()) { byHand = true; }
      return result;
    };
  }

  // Only a link with both passwords can log in again; VICIdial shows none unless agent_logout_link is 1.
  function relogin() {
    var links = document.querySelectorAll('a[href*="relogin=YES"]');
    for (var i = 0; i < links.length; i++) {
      var given = new URL(links[i].href).searchParams;
      if (links[i].getClientRects().length && given.get("VD_pass") && given.get("phone_pass")) { return links[i]; }
    }
    return null;
  }

  function show(text) {
    var box = document.getElementById("hotdesk_moves");
    if (box) { return; }
    box = document.createElement("div");
    box.id = "hotdesk_moves";
    box.setAttribute("role", "alert");
    box.style.cssText = "position:fixed;left:0;top:0;right:0;z-index:2147483647;padding:1em;text-align:center;"
      + "font:bold 18px sans-serif;background:#fff3c4;color:#3d2c00;border-bottom:2px solid #8a6d00";
    box.textContent = text;
    document.body.appendChild(box);
  }

  function follow(link, alias) {
    var url = new URL(link.href), form = document.createElement("form");
    url.searchParams.delete("relogin");
    if (options.record) {
      // This agent types no phone. The page reads it from the user's record, where it may have signs that cannot be typed.
      ["phone_login", "phone_pass"].forEach(function (name) { url.searchParams.delete(name); });
    } else {
      url.searchParams.set("phone_login", alias);
    }
    // VICIdial's login form sends the window's size, and the page does not open without it.
    url.searchParams.set("JS_browser_width", window.innerWidth);
    url.searchParams.set("JS_browser_height", window.innerHeight);
    form.method = "post";
    form.action = url.pathname;
    url.searchParams.forEach(function (value, name) {
      var input = document.createElement("input");
      input.type = "hidden";
      input.name = name;
      input.value = value;
      form.appendChild(input);
    });
    document.body.appendChild(form);
    leave(form, LOGOUT_MS);
  }

  // The page demands a confirmation from an agent who leaves it until the old session has ended. Wait for that: an old
  // session that ends late deletes the new session's in-groups.
  function leave(form, left_ms) {
    later(function () {
      if (window.needToConfirmExit === true && left_ms > 0) { leave(form, left_ms - READ_MS); return; }
      window.needToConfirmExit = false;
      form.submit();
    }, READ_MS);
  }

  function ask(link, left) {
    var again = function () {
      if (left > 1) { later(function () { ask(link, left - 1); }, ASK_EVERY_MS); }
    };
    fetch("hotdesk.php", { method: "POST", body: new URLSearchParams({ screen: options.screen }), credentials: "same-origin" })
      .then(function (answer) { return answer.json(); })
      .then(function (answer) {
        if (answer.order) { show(options.text); follow(link, answer.order.alias); } else if (answer.again) { again(); }
      }, again);
  }

  // After a restart of the database VICIdial knows no screen's session any more, and refuses each poll: it repeats the
  // session's name and dialer, and not its time, by which every other poll's answer begins. The words are translated.
  var refusedSince = null;
  var send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function () {
    this.addEventListener("load", hear);
    return send.apply(this, arguments);
  };

  function hear() {
    if (this.status !== 200 || !/\/conf_exten_check\.php$/.test(this.responseURL || "")) { return; }
    var session = "|" + window.session_name + "|" + window.server_ip + "|", told = this.responseText;
    if (told.indexOf("UnixTime: ") >= 0) {
      refusedSince = null;
    } else if (told.indexOf(session) >= 0 && refusedSince === null) {
      refusedSince = Date.now();
    }
  }

  function isRefused(ms) { return refusedSince !== null && Date.now() - refusedSince >= ms; }

  // The dialers' scripts end with the database, and cron starts them again within a minute. Until then VICIdial finds no
  // dialer for an alias, calls no phone, and covers each screen with a box about clocks.
  function leaveRefused(ms) {
    var again = function () { later(function () { leaveRefused(ms); }, ASK_EVERY_MS); };
    if (byHand || !isRefused(0)) {
      // the agent has left, or VICIdial knows the screen again
      document.getElementById("hotdesk_moves").remove();
      if (!byHand) { later(look, LOOK_EVERY_MS); }
      return;
    }
    // VICIdial's own logout shows the link back, also to a screen that it refuses; in a call it would only complain.
    if (window.VD_live_customer_call === 1 || window.MD_channel_look === 1 || window.alt_dial_status_display === 1) {
      again();
      return;
    }
    if (!isRefused(ms)) { again(); return; }
    window.LogouT("API");
    var link = relogin();
    if (!link) {
      // agent_logout_link is not 1: the agent logs in by VICIdial's own link
      document.getElementById("hotdesk_moves").remove();
      return;
    }
    try { window.sessionStorage.setItem(REFUSED, "1"); } catch (forbidden) { /* nothing is kept: see below */ }
    follow(link, options.alias);
  }

  // The old session is still in VICIdial's table, and the new screen opens with a box over all of it that says so.
  try {
    if (window.sessionStorage.getItem(REFUSED) !== null) {
      window.sessionStorage.removeItem(REFUSED);
      later(function () {
        var box = document.getElementById("DeactivateDOlDSessioNSpan");
        if (box) { box.style.display = "none"; }
      }, LOOK_EVERY_MS);
    }
  } catch (forbidden) { /* a browser that keeps nothing: the agent closes the box */ }

  function look() {
    var link = byHand ? null : relogin();
    if (link) {
      ask(link, ASK_AT_MOST);
    } else if (!byHand && isRefused(SAID_MS) && typeof window.LogouT === "function") {
      show(options.refused_text);
      leaveRefused(REFUSED_MS + Math.random() * SPREAD_MS);
    } else if (!byHand) {
      later(look, LOOK_EVERY_MS);
    }
  }
  later(look, LOOK_EVERY_MS);
})("HOTDESK");
