// SPDX-FileCopyrightText: The hotdesk authors
// SPDX-License-Identifier: MIT
//
// Runs at the end of each page that VICIdial shows after hotdesk has put a phone in place of the alias.
(function (told) {
  "use strict";

  // Whatever is sent from this page, or shown again by it, names what was typed.
  document.querySelectorAll('input[name="phone_login"]').forEach(function (input) {
    if (input.value === told.phone) { input.value = told.alias; }
  });
  document.querySelectorAll('a[href*="phone_login="]').forEach(function (link) {
    var url = new URL(link.href);
    if (url.searchParams.get("phone_login") === told.phone) {
      url.searchParams.set("phone_login", told.alias);
      link.href = url.href;
    }
  });
  if (typeof window.original_phone_login === "string") { window.original_phone_login = told.alias; }
  if (!told.screen) { return; }

  var ASK_EVERY_MS = 1000, ASK_AT_MOST = 10, LOOK_EVERY_MS = 250, READ_MS = 1500;

  // An agent who logs out by hand, or whose shift is over, is left alone, whatever hotdesk had in mind.
  var byHand = false, OTHERS = ["NORMAL", "CLOSE", "SHIFT", "TIMEOUT"];
  if (typeof window.LogouT === "function") {
    var logOut = window.LogouT;
    window.LogouT = function (reason) {
      if (OTHERS.indexOf(reason) >= 0) { byHand = true; }
      return logOut.apply(this, arguments);
    };
  }

  // Only a link with both passwords can log in again; agent_logout_link other than 1 makes none.
  function relogin() {
    var links = document.querySelectorAll('a[href*="relogin=YES"]');
    for (var i = 0; i < links.length; i++) {
      var given = new URL(links[i].href).searchParams;
      if (links[i].getClientRects().length && given.get("VD_pass") && given.get("phone_pass")) { return links[i]; }
    }
    return null;
  }

  function follow(link, order) {
    var url = new URL(link.href), form = document.createElement("form"), box = document.createElement("div");
    url.searchParams.delete("relogin");
    url.searchParams.set("phone_login", order.alias);
    form.method = "post";
    form.action = url.pathname;
    url.searchParams.forEach(function (value, name) {
      var input = document.createElement("input");
      input.type = "hidden";
      input.name = name;
      input.value = value;
      form.appendChild(input);
    });
    box.id = "hotdesk_moves";
    box.setAttribute("role", "alert");
    box.style.cssText = "position:fixed;left:0;top:0;right:0;z-index:2147483647;padding:1em;text-align:center;"
      + "font:bold 18px sans-serif;background:#fff3c4;color:#3d2c00;border-bottom:2px solid #8a6d00";
    box.textContent = told.text;
    document.body.appendChild(box);
    document.body.appendChild(form);
    window.setTimeout(function () { form.submit(); }, READ_MS);
  }

  function ask(link, left) {
    var again = function () {
      if (left > 1) { window.setTimeout(function () { ask(link, left - 1); }, ASK_EVERY_MS); }
    };
    fetch("hotdesk.php", { method: "POST", body: new URLSearchParams({ screen: told.screen }), credentials: "same-origin" })
      .then(function (answer) { return answer.json(); })
      .then(function (said) {
        if (said.order) { follow(link, said.order); } else if (said.again) { again(); }
      }, again);
  }

  var looking = window.setInterval(function () {
    var link = byHand ? null : relogin();
    if (byHand || link) { window.clearInterval(looking); }
    if (link) { ask(link, ASK_AT_MOST); }
  }, LOOK_EVERY_MS);
})("HOTDESK");
