SELECT IF(IS_USED_LOCK(CONCAT('hotdesk.other.', DATABASE())) = CONNECTION_ID(), 1,
          GET_LOCK(CONCAT('hotdesk.other.', DATABASE()), 0))
