<?php
// A login page for tests. Towards options.php it behaves as the agent page of VICIdial 2.14 was seen to: it loads the
// file twice, and in between reads its form and empties the places where something may be inserted.
require 'dbconnect.php';

function given($name, $removed)
{
    return preg_replace($removed, '', (string)($_POST[$name] ?? $_GET[$name] ?? ''));
}

$phone_login = given('phone_login', '/[^,0-9a-zA-Z]/');
$phone_pass = given('phone_pass', '/[^-_0-9a-zA-Z]/');
$VD_login = given('VD_login', '/[^-_0-9a-zA-Z]/');
$VD_pass = given('VD_pass', '/[^-_0-9a-zA-Z]/');
$VD_campaign = given('VD_campaign', '/[^-_0-9a-zA-Z]/');
$relogin = given('relogin', '/[^A-Z]/');
$JS_browser_height = given('JS_browser_height', '/[^0-9a-z]/');
$user_login_first = '0';
$INSERT_head_js = '';
$INSERT_window_onload = '';
$INSERT_agent_events = '';
$INSERT_before_body_close = '';

$began = microtime(true);
if (file_exists('options.php')) {
    require 'options.php';
}
$took_ms = (microtime(true) - $began) * 1000;
$long_enough = strlen($VD_login) >= 2 && strlen($VD_pass) >= 2 && strlen($VD_campaign) >= 2;
if ($user_login_first == 1 && $long_enough && (strlen($phone_login) < 2 || strlen($phone_pass) < 2)) {
    $record = rows("SELECT phone_login, phone_pass FROM vicidial_users WHERE user = ? AND active = 'Y'", $VD_login);
    $phone_login = $record ? (string)$record[0]['phone_login'] : '';
    $phone_pass = $record ? (string)$record[0]['phone_pass'] : '';
}
header("X-Took-Ms: $took_ms");
header('X-Phone-Login: ' . $phone_login);

function form($why)
{
    global $phone_login, $phone_pass, $VD_login, $VD_campaign, $INSERT_before_body_close;
    echo "<html><body><p id='why'>$why</p><a href='timeclock.php?referrer=agent&pl=$phone_login'>Timeclock</a>"
        . "<form method='post' action='vicidial.php'>"
        . "<input type='hidden' name='JS_browser_height' value='' id='height'>"
        . "<script>document.getElementById('height').value = window.innerHeight;</script>"
        . "<input type='hidden' name='phone_login' value='$phone_login'>"
        . "<input type='hidden' name='phone_pass' value='$phone_pass'>"
        . "<input name='VD_login' value='$VD_login'><input name='VD_pass'>"
        . "<input name='VD_campaign' value='$VD_campaign'><input type='submit' id='submit'></form>"
        . "$INSERT_before_body_close</body></html>";
    exit;
}

if ($relogin === 'YES' || !$long_enough || strlen($phone_login) < 2 || strlen($phone_pass) < 2) {
    form('log in');
}
if ($VD_pass !== 'secret') {
    form('wrong password');
}
$original_phone_login = $phone_login;
$alias = rows('SELECT logins_list FROM phones_alias WHERE alias_id = ?', $phone_login);
$chosen = null;
foreach (explode(',', $alias ? $alias[0]['logins_list'] : $phone_login) as $login) {
    foreach (rows("SELECT p.login, p.server_ip, p.protocol, p.extension, (SELECT COUNT(*) FROM vicidial_live_agents v
                   WHERE v.server_ip = p.server_ip AND v.extension NOT LIKE 'R%') AS agents
                   FROM phones p JOIN servers s ON s.server_ip = p.server_ip AND s.active = 'Y'
                   WHERE p.login = ?", $login) as $phone) {
        if ($chosen === null || $phone['agents'] <= $chosen['agents']) {
            $chosen = $phone;
        }
    }
}
if ($chosen === null) {
    form('no such phone');
}
rows('DELETE FROM vicidial_live_agents WHERE user = ?', $VD_login);
rows("INSERT INTO vicidial_live_agents (user, server_ip, conf_exten, extension, status, campaign_id, last_update_time,
      last_state_change, call_server_ip, uniqueid, callerid, comments) VALUES (?, ?, '', ?, 'PAUSED', ?, NOW(), NOW(),
      '', '', '', '')",
    $VD_login, $chosen['server_ip'], $chosen['protocol'] . '/' . $chosen['extension'], $VD_campaign);
$id = mysqli_insert_id($link);
// PHP 8 counts with nothing that is no number; by then the session is there, and nobody sees it
$room_for_the_screen = $JS_browser_height - 50;
rows("INSERT INTO vicidial_user_log (user, event, campaign_id, event_date, event_epoch, session_id, server_ip, extension,
      phone_login, server_phone) VALUES (?, 'LOGIN', ?, NOW(), UNIX_TIMESTAMP(), '', ?, ?, ?, ?)",
    $VD_login, $VD_campaign, $chosen['server_ip'], $chosen['extension'], $original_phone_login, $chosen['login']);
?>
<html><head><script>
function first() {}
<?php echo $INSERT_head_js; ?>
var original_phone_login = '<?php echo $original_phone_login; ?>';
var looking = 0, needToConfirmExit = true, inCall = false;
window.addEventListener('beforeunload', function (event) { if (needToConfirmExit) { event.preventDefault(); } });
function LogouT(reason) {
  if (inCall && reason === 'NORMAL') { document.getElementById('said').textContent = 'STILL A LIVE CALL!'; return; }
  window.clearInterval(looking);
  // the link is there at once, and the session ends later
  document.getElementById('LogouTBoxLink').innerHTML = '<a href="vicidial.php?relogin=YES&session_epoch=1&VD_login='
    + '<?php echo $VD_login; ?>&VD_campaign=<?php echo $VD_campaign; ?>&phone_login=' + original_phone_login
    + '&phone_pass=<?php echo $phone_pass; ?>&VD_pass=<?php echo $VD_pass; ?>">LOG IN AGAIN</a>';
  fetch('feed.php?leave=1&id=<?php echo $id; ?>').then(function () { needToConfirmExit = false; });
}
function begin() {
  looking = window.setInterval(function () {
    <?php echo $INSERT_agent_events; ?>
    fetch('feed.php?id=<?php echo $id; ?>').then(function (answer) { return answer.text(); })
      .then(function (told) { if (told === 'LOGOUT') { LogouT('API'); } });
  }, 200);
  <?php echo $INSERT_window_onload; ?>
}
</script></head><body onload="begin()">
<p>on <span id="server"><?php echo $chosen['server_ip']; ?></span> as <span id="phone"><?php echo $chosen['login']; ?></span></p>
<p id="said"></p>
<div id="DeactivateDOlDSessioNSpan">Another session of yours was open.</div>
<a id="leave" href="#" onclick="LogouT('NORMAL');return false;">LOGOUT</a>
<span id="LogouTBoxLink">LOGOUT</span>
<?php echo $INSERT_before_body_close; ?>
</body></html>
