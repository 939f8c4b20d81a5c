<?php
// SPDX-FileCopyrightText: The hotdesk authors
// SPDX-License-Identifier: MIT
//
// Install beside vicidial.php as options.php, or require it at the end of an existing options.php. It makes VICIdial's
// login page follow hotdesk's ranking, and changes nothing in case of any doubt. See docs/guide/login-hook.md.

require_once __DIR__ . '/hotdesk-hook.php';

// The page loads this file twice. Only the second time it has read the form; other pages of agc/ never have all fields.
if (isset($phone_login, $phone_pass, $VD_login, $VD_pass, $VD_campaign)
    && is_string($phone_login) && $phone_login !== '' && (string)$phone_pass !== ''
    && (string)$VD_login !== '' && (string)$VD_pass !== '' && (string)$VD_campaign !== ''
    && (!isset($relogin) || $relogin !== 'YES')) {
    try {
        $hotdesk_login = hotdesk_log_in((string)$VD_login, $phone_login, (string)$VD_campaign);
    } catch (\Throwable $hotdesk_error) {
        // If this PHP forbids or lacks something, the page works as it does without hotdesk.
        $hotdesk_login = null;
        unset($hotdesk_error);
    }
    if ($hotdesk_login !== null) {
        $phone_login = $hotdesk_login['phone_login'];
        $INSERT_before_body_close = (isset($INSERT_before_body_close) ? $INSERT_before_body_close : '')
            . $hotdesk_login['script'];
    }
    unset($hotdesk_login);
}
