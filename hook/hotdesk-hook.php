<?php
// SPDX-FileCopyrightText: The hotdesk authors
// SPDX-License-Identifier: MIT
//
// The common part of options.php and hotdesk.php: the settings, and requests to hotdesk within a time limit. PHP 7.2
// to 8.3. Nothing here prints or logs anything, and no password ever leaves this machine by it.

if (!function_exists('hotdesk_log_in')) {
    // The shortest time limit of a login, and the limit if an outage cannot be remembered.
    define('HOTDESK_LEAST_MS', 20);
    // How long a screen that was logged out waits for its order, and how long a hotdesk that did not answer is not asked
    // for orders again. Anybody can ask, and each who waits holds one of the web server's workers.
    define('HOTDESK_ORDER_MS', 250);
    define('HOTDESK_ORDER_OUTAGE_SECONDS', 2);

    /**
     * Asks hotdesk for the phone of an agent's login. $from_record: the alias stands in the user's record. $link: the
     * page's connection to the database; null: none.
     *
     * @return array|null 'phone_login' for the page, 'script' for its end; null: leave the page as it is.
     */
    function hotdesk_log_in($user, $alias, $campaign, $from_record, $link)
    {
        // One screen, even if this request asks several times.
        static $known = array();
        $key = $user . "\n" . $alias . "\n" . $campaign;
        if (!array_key_exists($key, $known)) {
            $known[$key] = hotdesk_pick($user, $alias, $campaign, $from_record, $link);
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

    /** Returns true if VICIdial has a user of this name who may log in, false if not; null: it cannot be looked up. */
    function hotdesk_has_user($link, $user)
    {
        try {
            $found = $link instanceof \mysqli ? @mysqli_query($link, "SELECT 1 FROM vicidial_users WHERE user = '"
                . mysqli_real_escape_string($link, $user) . "' AND user_level > 0 AND active = 'Y' LIMIT 1") : false;
            return $found instanceof \mysqli_result ? mysqli_num_rows($found) > 0 : null;
        } catch (\Throwable $error) {
            return null;
        }
    }

    /**
     * Returns the visitor who loads the page, as a keyed hash of the address: hotdesk bounds what each may ask, and
     * learns no address. It is that of the connection: what visitors say of themselves in a header is not looked at.
     */
    function hotdesk_visitor($settings)
    {
        $address = isset($_SERVER['REMOTE_ADDR']) ? @inet_pton((string)$_SERVER['REMOTE_ADDR']) : false;
        if ($address === false) {
            return '';
        }
        if (strlen($address) === 16) {
            // An IPv4 address in IPv6's form is that address; with IPv6 a visitor has a whole network to choose from.
            $mapped = substr($address, 0, 12) === "\0\0\0\0\0\0\0\0\0\0\xff\xff";
            $address = $mapped ? substr($address, 12) : substr($address, 0, 8);
        }
        $key = $settings['token'] !== '' ? $settings['token'] : $settings['cluster'];
        return substr(hash_hmac('sha256', $address, $key), 0, 32);
    }

    function hotdesk_pick($user, $alias, $campaign, $from_record, $link)
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
        // hotdesk keeps a digest of the mark: a reader of its log cannot impersonate this screen.
        $asked = array(
            'user' => $user, 'alias' => $alias, 'campaign' => $campaign, 'screen' => $screen,
            'visitor' => hotdesk_visitor($settings),
        );
        if (!$from_record && hotdesk_has_user($link, $user) === false) {
            $asked['no_user'] = true;
        }
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

    /**
     * Has every page that is not the agent's screen, as after a wrong password, show what it would show without hotdesk:
     * the alias in place of the phone, and no script. Visitors without a password would learn from it which aliases
     * there are, and their phones.
     *
     * @return bool false: this PHP cannot do that.
     */
    function hotdesk_cover($alias, $login)
    {
        static $covered = false;
        $page = '';
        $covered = $covered || ob_start(function ($part, $phase) use (&$page, $alias, $login) {
            $page = $phase & PHP_OUTPUT_HANDLER_CLEAN ? '' : $page . $part;
            if (!($phase & PHP_OUTPUT_HANDLER_FINAL)) {
                return '';
            }
            $screen = preg_match('/\boriginal_phone_login\s*=\s*["\']/', $page);
            return $screen ? $page : hotdesk_as_typed($page, $alias, $login);
        });
        return $covered;
    }

    function hotdesk_as_typed($page, $alias, $login)
    {
        $page = str_replace($login['script'], '', $page);
        $phone = preg_quote($login['phone_login'], '/') . '(?![-_0-9A-Za-z\x80-\xff])';
        $typed = htmlspecialchars($alias, ENT_QUOTES | ENT_SUBSTITUTE);
        $put = function ($found) use ($typed) {
            return $found[1] . $typed;
        };
        $forms = preg_replace_callback('/<input\b[^>]*>/i', function ($found) use ($phone, $put) {
            return preg_match('/\bname\s*=\s*["\']?phone_login\b/i', $found[0])
                ? preg_replace_callback("/(\bvalue\s*=\s*[\"']?)$phone/i", $put, $found[0]) : $found[0];
        }, $page);
        $links = preg_replace_callback("/([?&;](?:phone_login|pl)=)$phone/", $put, (string)$forms);
        // A page that PHP's expressions cannot read is better shown than blank.
        return is_string($forms) && is_string($links) ? $links : $page;
    }

    /** Returns the order for a new login of this screen; null: there is none; false: hotdesk did not answer. */
    function hotdesk_order($screen)
    {
        $settings = hotdesk_settings();
        if ($settings === null || !$settings['relogin'] || !preg_match('/^[0-9a-f]{32}$/D', $screen)) {
            return null;
        }
        $asked = array('screen' => $screen, 'visitor' => hotdesk_visitor($settings));
        $answer = hotdesk_ask($settings, 'relogins', $asked, HOTDESK_ORDER_MS, HOTDESK_ORDER_OUTAGE_SECONDS);
        if ($answer === null || $answer['status'] === 429) {
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
            'state_dir' => isset($read['state_dir']) && $read['state_dir'] !== ''
                ? $read['state_dir'] : hotdesk_own_dir(),
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

    /** Returns a folder that is this web server's alone; empty: there is none. */
    function hotdesk_own_dir()
    {
        $dir = sys_get_temp_dir() . '/hotdesk-' . (function_exists('posix_geteuid') ? posix_geteuid() : 'hook');
        $found = @lstat($dir);
        if ($found === false && @mkdir($dir, 0700)) {
            $found = @lstat($dir);
        }
        return $found !== false && hotdesk_is_own($found, 0040000) && @is_writable($dir) ? $dir : '';
    }

    /** Returns true for something of this kind that only the web server's own user may use: no other has made it. */
    function hotdesk_is_own($found, $kind)
    {
        return ($found['mode'] & 0170077) === $kind
            && (!function_exists('posix_geteuid') || $found['uid'] === posix_geteuid());
    }

    /** Returns when hotdesk did not answer; 0: there is no such mark; null: there is one that is not this web server's. */
    function hotdesk_marked($mark)
    {
        clearstatcache(true, $mark);
        $found = @lstat($mark);
        if ($found === false) {
            return 0;
        }
        // Not a link of either kind to something else.
        $own = hotdesk_is_own($found, 0100000) && $found['nlink'] === 1 && $found['size'] === 0 && @is_writable($mark);
        return $own ? $found['mtime'] : null;
    }

    function hotdesk_mark($mark)
    {
        @unlink($mark);
        $before = umask(0077);
        // This follows no link.
        $file = @fopen($mark, 'x');
        umask($before);
        if ($file !== false) {
            fclose($file);
        }
    }

    function hotdesk_ask_for_login($settings, $body)
    {
        return hotdesk_ask($settings, 'picks', $body, $settings['deadline_ms'], $settings['outage_seconds']);
    }

    /**
     * Asks one hotdesk after the other, until one answers or the time is over. An address that did not answer lately is
     * skipped, so an outage costs one deadline and not one per request; if that cannot be remembered, a login's limit is short.
     * Picks and orders have marks of their own: a login that was not answered concerns no screen, nor the other way round.
     *
     * @return array|null 'status' and 'body'; null: no answer.
     */
    function hotdesk_ask($settings, $what, $body, $limit_ms, $outage_seconds)
    {
        $marks = array();
        $dir = @is_writable($settings['state_dir']) ? $settings['state_dir'] : '';
        foreach ($settings['urls'] as $url) {
            $marks[$url] = $dir === '' ? '' : "$dir/hotdesk-" . md5("$url\n$settings[cluster]\n$what") . '.down';
            if ($dir !== '' && hotdesk_marked($marks[$url]) === null) {
                @unlink($marks[$url]);
            }
            if ($dir === '' || hotdesk_marked($marks[$url]) === null) {
                $marks[$url] = '';
                // A screen that waits for its order holds no login up, and has a short limit anyway.
                $limit_ms = $what === 'picks' ? min($limit_ms, HOTDESK_LEAST_MS) : $limit_ms;
            }
        }
        $until = microtime(true) + $limit_ms / 1000;
        foreach ($marks as $url => $mark) {
            $left_ms = (int)floor(($until - microtime(true)) * 1000);
            if ($left_ms < 1) {
                break;
            }
            $marked = $mark === '' ? 0 : (int)hotdesk_marked($mark);
            if (abs(time() - $marked) < $outage_seconds) {
                continue;
            }
            $answer = hotdesk_post($settings, $url, $what, $body, $left_ms);
            $useful = $answer !== null && $answer['status'] < 500 && !in_array($answer['status'], array(401, 403), true);
            // A hotdesk that cannot say yet whether there is an order has answered.
            if ($mark !== '' && ($answer === null || (!$useful && $what === 'picks'))) {
                hotdesk_mark($mark);
            } elseif ($marked !== 0) {
                @unlink($mark);
            }
            if ($useful) {
                return $answer;
            }
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
        if (!is_array($answered) || $status < 200) {
            return null;
        }
        return array('status' => $status, 'body' => $answered);
    }
}
