<?php
// What the screen asks for once in a while; like other pages of the folder it loads options.php, and has variables of its own.
$phone_login = $_GET['phone_login'] ?? '';
$user = $_GET['user'] ?? '';
require 'dbconnect.php';
if (isset($_GET['leave'])) {
    usleep((int)(getenv('PAGE_LOGOUT_MS') ?: 2500) * 1000);
    rows('DELETE FROM vicidial_live_agents WHERE live_agent_id = ?', $_GET['id']);
}
$mine = rows('SELECT external_pause FROM vicidial_live_agents WHERE live_agent_id = ?', $_GET['id']);
echo $mine ? $mine[0]['external_pause'] : 'GONE';
