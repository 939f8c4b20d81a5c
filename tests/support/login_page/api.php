<?php
// The agent API as far as a test needs it: it tells a screen to log out, and its version.
require 'dbconnect.php';
if ($_REQUEST['function'] == 'version') {
    print "VERSION: 2.14|BUILD: test\n";
    exit;
}
rows("UPDATE vicidial_live_agents SET external_pause = 'LOGOUT' WHERE user = ?", $_REQUEST['agent_user']);
print "SUCCESS: logout function set - LOGOUT|" . $_REQUEST['agent_user'] . "\n";
