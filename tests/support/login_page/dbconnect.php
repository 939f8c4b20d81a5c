<?php
$link = mysqli_connect(getenv('PAGE_DB_HOST'), getenv('PAGE_DB_USER'), getenv('PAGE_DB_PASSWORD'), getenv('PAGE_DB_NAME'), (int)getenv('PAGE_DB_PORT'));

function rows($statement, ...$values)
{
    global $link;
    $prepared = mysqli_prepare($link, $statement);
    if ($values) {
        mysqli_stmt_bind_param($prepared, str_repeat('s', count($values)), ...$values);
    }
    mysqli_stmt_execute($prepared);
    $found = mysqli_stmt_get_result($prepared);
    return $found ? mysqli_fetch_all($found, MYSQLI_ASSOC) : array();
}

if (file_exists('options.php')) {
    require 'options.php';
}
