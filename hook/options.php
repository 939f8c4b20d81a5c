<?php
// SPDX-FileCopyrightText: The hotdesk authors
// SPDX-License-Identifier: MIT
//
// Install beside vicidial.php as options.php, or have it loaded after the existing options.php. It makes VICIdial's
// login page follow hotdesk's ranking, and changes nothing in case of any doubt. See docs/guide/login-hook.md.

require_once __DIR__ . '/hotdesk-hook.php';

// The page loads this file twice. Only the second time it has read the form; other pages of agc/ never have all fields.
// It demands two characters of each, and checks no password of fewer: without that, whoever can load the page could ask
// in any agent's name as often as they like, and no login would ever count as failed.
if (isset($phone_login, $phone_pass, $VD_login, $VD_pass, $VD_campaign) && is_string($phone_login)
    && strlen((string)$VD_login) >= 2 && strlen((string)$VD_pass) >= 2 && strlen((string)$VD_campaign) >= 2
    && (!isset($relogin) || $relogin !== 'YES')) {
    try {
        // With $user_login_first the page reads the phone from the user's record, later than this: so read it here.
        $hotdesk_record = null;
        if (isset($user_login_first, $link) && (string)$user_login_first === '1'
            && (strlen($phone_login) < 2 || strlen((string)$phone_pass) < 2)) {
            $hotdesk_record = hotdesk_user_record($link, (string)$VD_login);
        }
        $hotdesk_typed = $hotdesk_record === null ? array($phone_login, (string)$phone_pass) : $hotdesk_record;
        $hotdesk_login = null;
        if (strlen($hotdesk_typed[0]) >= 2 && strlen($hotdesk_typed[1]) >= 2) {
            $hotdesk_login = hotdesk_log_in(
                (string)$VD_login, $hotdesk_typed[0], (string)$VD_campaign, $hotdesk_record !== null,
                isset($link) ? $link : null
            );
        }
        if ($hotdesk_login !== null && hotdesk_cover($hotdesk_typed[0], $hotdesk_login)) {
            $phone_login = $hotdesk_login['phone_login'];
            // Only with both does the page leave the record alone.
            $phone_pass = $hotdesk_typed[1];
            $INSERT_before_body_close = (isset($INSERT_before_body_close) ? $INSERT_before_body_close : '')
                . $hotdesk_login['script'];
        }
    } catch (\Throwable $hotdesk_error) {
        // If this PHP forbids or lacks something, the page works as it does without hotdesk.
        unset($hotdesk_error);
    }
    unset($hotdesk_record, $hotdesk_typed, $hotdesk_login);
}
