<?php
// SPDX-FileCopyrightText: The hotdesk authors
// SPDX-License-Identifier: MIT
//
// Install beside vicidial.php. An agent's screen that was logged out asks here whether hotdesk did that. The answer is
// {"order": {"alias": ...}}, for that screen alone, and {"order": null} otherwise; "again" means that hotdesk did not
// answer and the screen may ask again.

require_once __DIR__ . '/hotdesk-hook.php';

header('Content-Type: application/json');
header('Cache-Control: no-store');
header('X-Content-Type-Options: nosniff');
$site = isset($_SERVER['HTTP_SEC_FETCH_SITE']) ? $_SERVER['HTTP_SEC_FETCH_SITE'] : 'same-origin';
if ($_SERVER['REQUEST_METHOD'] !== 'POST' || $site !== 'same-origin') {
    http_response_code(405);
    header('Allow: POST');
    echo '{"order": null}';
    exit;
}
try {
    $order = hotdesk_order(isset($_POST['screen']) && is_string($_POST['screen']) ? $_POST['screen'] : '');
} catch (\Throwable $error) {
    $order = null;
}
echo json_encode($order === false ? array('order' => null, 'again' => true) : array('order' => $order));
