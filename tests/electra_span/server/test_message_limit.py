import logging

from electra_span.server.limits import MESSAGES_A_MINUTE, MessageLimit, limit_messages


def test_messages_beyond_the_limit_are_left_out_and_counted_a_minute_later(caplog):
    seconds = [0.0]
    logger = logging.getLogger("test of the limit of messages")
    logger.addFilter(MessageLimit(most=3, clock=lambda: seconds[0]))
    for number in range(10):
        logger.warning("bad request %d", number)
    seconds[0] = 61.0
    logger.warning("bad request %d", 10)
    logger.warning("bad request %d", 11)
    assert [record.getMessage() for record in caplog.records] == [
        "bad request 0",
        "bad request 1",
        "bad request 2",
        "bad request 10 (7 messages were left out before this one)",
        "bad request 11",
    ]


def test_a_logger_is_limited_once():
    logger = logging.getLogger("test of one limit")
    limit_messages(logger)
    limit_messages(logger)
    assert len(logger.filters) == 1
    record = logging.LogRecord("x", logging.WARNING, "x", 1, "x", (), None)
    assert [bool(logger.filter(record)) for _ in range(MESSAGES_A_MINUTE + 1)] == [True] * MESSAGES_A_MINUTE + [False]
