<?php
// SPDX-FileCopyrightText: The hotdesk authors
// SPDX-License-Identifier: MIT
//
// The common part of options.php and hotdesk.php: the settings, and requests to hotdesk within a time limit. PHP 7.2
// to 8.3. Nothing here prints or logs anything, and no password ever leaves this machine by it.

if (!function_exists('hotdesk_log_in')) {
    // The shortest time limit of a login, and the limit if an outage cannot be remembered.
    define('HOTDESK_LEAST_MS', 20);
    // How long a screen that was logged out waits for its order; nothing else waits for it.
    define('HOTDESK_ORDER_MS', 1000);

    /**
     * Asks hotdesk for the phone of an agent's login. $from_record: the alias stands in the user's record.
     *
     * @return array|null 'phone_login' for the page, 'script' for its end; null: leave the page as it is.
     */
    function hotdesk_log_in($user, $alias, $campaign, $from_record)
    {
        // One screen, even if this request asks several times.
        static $known = array();
        $key = $user . "\n" . $alias . "\n" . $campaign;
        if (!array_key_exists($key, $known)) {
            $known[$key] = hotdesk_pick($user, $alias, $campaign, $from_record);
        }
        return $known[$key];
    }

    /** Returns the phone login and its password in the record of a user who may log in; null: there are none. */
    function hotdesk_user_record($link, $user)
    {
        $found = mysqli_query($link, "SELECT phone_login, phone_pass FROM vicidial_users WHERE user = '"
            . mysqli_real_escape_string($link, $user) . "' AND user_level > 0 AND active = 'Y' AND api_only_user <> '1'");
        $row = $found ? mysqli_fetch_row($found) : null;
        return $row ? array((string)$row[0], (string)$row[1]) : null;
    }

    function hotdesk_pick($user, $alias, $campaign, $from_record)
    {
        $settings = hotdesk_settings();
        if ($settings === null) {
            return null;
        }
        // Without the script nothing would restore the alias on the page.
        $script = @file_get_contents(__DIR__ . '/hotdesk.js');
        if ($script === false) {
            return null;
        }
        $screen = bin2hex(random_bytes(16));
        // hotdesk gets a digest: a reader of its log cannot impersonate this screen.
        $asked = array('user' => $user, 'alias' => $alias, 'campaign' => $campaign, 'screen' => hash('sha256', $screen));
        $answer = hotdesk_ask_for_login($settings, $asked);
        if ($answer === null || $answer['status'] !== 201) {
            return null;
        }
        $picked = $answer['body'];
        foreach (array('user', 'alias', 'phone_login') as $name) {
            if (!isset($picked[$name]) || !is_string($picked[$name])) {
                return null;
            }
        }
        // The answer must repeat the question, and name one phone that VICIdial would accept. It cleans what is typed, so
        // before this; what an administrator may enter for a phone is wider: letters of any script, and - and _.
        if ($picked['user'] !== $user || $picked['alias'] !== $alias
            || !preg_match('/^[-_0-9\p{L}]{1,20}$/Du', $picked['phone_login'])) {
            return null;
        }
        return array(
            'phone_login' => $picked['phone_login'],
            'script' => hotdesk_script($script, $settings, array(
                'alias' => $alias,
                'phone' => $picked['phone_login'],
                'record' => $from_record,
                'screen' => $settings['relogin'] ? $screen : '',
            )),
        );
    }

    /** Returns the script that restores the alias, and that asks for a new login after hotdesk has ended this one. */
    function hotdesk_script($script, $settings, $login)
    {
        $options = json_encode(
            $login + array('text' => $settings['text'], 'refused_text' => $settings['refused_text']),
            JSON_HEX_TAG | JSON_HEX_AMP | JSON_HEX_APOS | JSON_HEX_QUOT | JSON_INVALID_UTF8_SUBSTITUTE
        );
        return "\n<script>\n" . str_replace('"HOTDESK"', $options, $script) . "</script>\n";
    }

    /** Returns the order for a new login of this screen; null: there is none; false: hotdesk did not answer. */
    function hotdesk_order($screen)
    {
        $settings = hotdesk_settings();
        if ($settings === null || !$settings['relogin'] || !preg_match('/^[0-9a-f]{32}$/D', $screen)) {
            return null;
        }
        // Without the marks of outages: an unanswered login does not concern this request, nor this request logins.
        $answer = null;
        $until = microtime(true) + HOTDESK_ORDER_MS / 1000;
        foreach ($settings['urls'] as $url) {
            $left_ms = (int)floor(($until - microtime(true)) * 1000);
            if ($answer !== null || $left_ms < 1) {
                break;
            }
            $answer = hotdesk_post($settings, $url, 'relogins', array('screen' => hash('sha256', $screen)), $left_ms);
        }
        if ($answer === null) {
            return false;
        }
        $order = $answer['body'];
        if ($answer['status'] !== 200 || !isset($order['alias']) || !is_string($order['alias'])) {
            return null;
        }
        return array('alias' => $order['alias']);
    }

    /** Returns the settings, read once per request; null: no ini file, or an incomplete one, so hotdesk is not used. */
    function hotdesk_settings()
    {
        static $settings = false;
        if ($settings === false) {
            $settings = hotdesk_read_settings();
        }
        return $settings;
    }

    function hotdesk_read_settings()
    {
        $file = getenv('HOTDESK_HOOK_INI');
        if (!is_string($file) || $file === '') {
            $file = isset($_SERVER['HOTDESK_HOOK_INI']) ? $_SERVER['HOTDESK_HOOK_INI'] : '/etc/hotdesk/hook.ini';
        }
        $read = is_string($file) && @is_readable($file) ? @parse_ini_file($file, false, INI_SCANNER_RAW) : false;
        if (!is_array($read)) {
            return null;
        }
        $read = array_filter($read, 'is_string');
        $urls = preg_split('/[\s,]+/', isset($read['urls']) ? $read['urls'] : '', -1, PREG_SPLIT_NO_EMPTY);
        $cluster = isset($read['cluster']) ? $read['cluster'] : '';
        if (!$urls || $cluster === '' || !function_exists('curl_init')) {
            return null;
        }
        $token = '';
        if (isset($read['token_file']) && $read['token_file'] !== '') {
            $token = @file_get_contents($read['token_file']);
            $token = $token === false ? '' : trim($token);
        }
        $off = array('0', 'off', 'no', 'false', '');
        return array(
            'urls' => $urls,
            'cluster' => $cluster,
            'token' => preg_match('/^[\x21-\x7e]*$/D', $token) ? $token : '',
            'ca_file' => isset($read['ca_file']) ? $read['ca_file'] : '',
            'deadline_ms' => hotdesk_between(isset($read['deadline_ms']) ? $read['deadline_ms'] : '', HOTDESK_LEAST_MS, 150, 150),
            'outage_seconds' => hotdesk_between(isset($read['outage_seconds']) ? $read['outage_seconds'] : '', 1, 60, 5),
            'state_dir' => isset($read['state_dir']) && $read['state_dir'] !== '' ? $read['state_dir'] : sys_get_temp_dir(),
            'relogin' => !in_array(strtolower(isset($read['relogin']) ? $read['relogin'] : 'on'), $off, true),
            'text' => isset($read['text']) && $read['text'] !== ''
                ? $read['text'] : 'Your dialer failed. You are being moved to another one.',
            'refused_text' => isset($read['refused_text']) && $read['refused_text'] !== ''
                ? $read['refused_text'] : 'VICIdial was restarted, and no longer knows this screen. '
                    . 'You are logged in again within two minutes. Hang up if you are in a call.',
        );
    }

    function hotdesk_between($value, $least, $most, $otherwise)
    {
        return ctype_digit($value) ? max($least, min($most, (int)$value)) : $otherwise;
    }

    /**
     * Asks one hotdesk after the other, until one answers or the time is over. An address that did not answer lately is
     * skipped, so an outage costs one deadline and not one per login; if that cannot be remembered, the limit is short.
     *
     * @return array|null 'status' and 'body'; null: no answer.
     */
    function hotdesk_ask_for_login($settings, $body)
    {
        $marks = array();
        $limit_ms = $settings['deadline_ms'];
        foreach ($settings['urls'] as $url) {
            $mark = $settings['state_dir'] . '/hotdesk-' . md5($url . "\n" . $settings['cluster']) . '.down';
            $marks[$url] = $mark;
            if (!@is_writable(@file_exists($mark) ? $mark : $settings['state_dir'])) {
                $limit_ms = min($limit_ms, HOTDESK_LEAST_MS);
            }
        }
        $until = microtime(true) + $limit_ms / 1000;
        foreach ($marks as $url => $mark) {
            $left_ms = (int)floor(($until - microtime(true)) * 1000);
            if ($left_ms < 1) {
                break;
            }
            $marked = @filemtime($mark);
            if ($marked !== false && abs(time() - $marked) < $settings['outage_seconds']) {
                continue;
            }
            $answer = hotdesk_post($settings, $url, 'picks', $body, $left_ms);
            if ($answer !== null) {
                if ($marked !== false) {
                    @unlink($mark);
                }
                return $answer;
            }
            @touch($mark);
        }
        return null;
    }

    /** Returns the answer to one request; null: no answer in time, or one that no working hotdesk gives. */
    function hotdesk_post($settings, $url, $what, $body, $limit_ms)
    {
        $content = json_encode($body, JSON_INVALID_UTF8_SUBSTITUTE);
        $url = rtrim($url, '/') . '/v1/clusters/' . rawurlencode($settings['cluster']) . '/' . $what;
        $headers = array('Content-Type: application/json', 'Expect:');
        // So that hotdesk can say which web servers ask it, and since when one does no more.
        $headers[] = 'X-Hotdesk-Hook: ' . substr(preg_replace('/[^-.0-9A-Za-z_]/', '', (string)gethostname()), 0, 63);
        if ($settings['token'] !== '') {
            $headers[] = 'Authorization: Bearer ' . $settings['token'];
        }
        $received = '';
        $curl = curl_init();
        $set = curl_setopt_array($curl, array(
            CURLOPT_URL => $url,
            CURLOPT_POST => true,
            CURLOPT_POSTFIELDS => $content,
            CURLOPT_HTTPHEADER => $headers,
            CURLOPT_NOSIGNAL => true,
            CURLOPT_CONNECTTIMEOUT_MS => $limit_ms,
            CURLOPT_TIMEOUT_MS => $limit_ms,
            CURLOPT_FOLLOWLOCATION => false,
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            CURLOPT_PROXY => '',
            // hotdesk answers with one line; a longer answer comes from something else.
            CURLOPT_WRITEFUNCTION => function ($curl, $part) use (&$received) {
                $received .= $part;
                return strlen($received) > 65536 ? 0 : strlen($part);
            },
        ));
        if ($set && $settings['ca_file'] !== '') {
            $set = curl_setopt($curl, CURLOPT_CAINFO, $settings['ca_file']);
        }
        $done = $set && curl_exec($curl);
        $status = $done ? curl_getinfo($curl, CURLINFO_HTTP_CODE) : 0;
        curl_close($curl);
        $answered = $done ? json_decode($received, true) : null;
        if (!is_array($answered) || $status === 401 || $status === 403 || $status >= 500 || $status < 200) {
            return null;
        }
        return array('status' => $status, 'body' => $answered);
    }
}
