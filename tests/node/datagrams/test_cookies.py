"""Cookies: only who receives at an address can have the one that is right for it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.node.datagrams.cookies import COOKIE_DIGITS, Cookies, StrangersShare

SLOT_S = 100.0
COOKIES = Cookies(b"s" * 32, SLOT_S)
hosts = st.ip_addresses().map(str)


def given_to(host: str = "10.0.0.1", port: int = 7, now: float = 0.0, secret: bytes = b"s" * 32) -> str:
    """The cookie that an address is given."""
    return Cookies(secret, SLOT_S).valid_cookies(host, port, now)[0].decode()


class CookiesTests(SynchronousTestCase):
    """The cookies of one node."""

    def test_form(self) -> None:
        """A cookie is 16 hexadecimal digits in small letters."""
        self.assertEqual(len(given_to()), COOKIE_DIGITS)
        self.assertEqual(given_to().strip("0123456789abcdef"), "")

    def test_of_another(self) -> None:
        """Another host, another port, another node and another time each make another cookie."""
        others = [given_to(host="10.0.0.2"), given_to(port=8), given_to(secret=b"t" * 32), given_to(now=SLOT_S)]
        self.assertEqual(len({given_to(), *others}), 5)
        for cookie in (given_to(host="10.0.0.2"), given_to(port=8), given_to(secret=b"t" * 32)):
            self.assertFalse(COOKIES.is_valid(cookie, "10.0.0.1", 7, 0.0))

    def test_give(self) -> None:
        """What an address is given is right for it, whichever others are asked about before and between."""
        cookies = Cookies(b"s" * 32, SLOT_S)
        asked = [("10.0.0.1", 7, 0.0), ("10.0.0.1", 8, 0.0), ("10.0.0.2", 7, 0.0), ("10.0.0.1", 7, SLOT_S)]
        for host, port, now in asked * 2 + asked[::-1]:
            true = given_to(host, port, now)
            gives = [cookies.cookie_for(host, port, now), cookies.valid_cookies(host, port, now)[0].decode()]
            self.assertEqual([*gives, cookies.cookie_for(host, port, now)], [true] * 3)
            self.assertTrue(cookies.is_valid(true, host, port, now))

    def test_not_run_together(self) -> None:
        """Host and port are kept apart: no two addresses look alike in the hash."""
        self.assertNotEqual(given_to("10.0.0.1", 11), given_to("10.0.0.11", 1))
        self.assertNotEqual(given_to("10.0.0.1", 1, now=1 * SLOT_S), given_to("10.0.0.1", 11))

    @given(hosts, st.integers(0, 65535), st.floats(0, 1e10), st.floats(0, SLOT_S))
    def test_lasts(self, host: str, port: int, now: float, later_s: float) -> None:
        """Whenever it is given, a cookie is right for one slot at least, and after two never."""
        cookie = COOKIES.valid_cookies(host, port, now)[0].decode()
        self.assertTrue(COOKIES.is_valid(cookie, host, port, now))
        self.assertTrue(COOKIES.is_valid(cookie, host, port, now + 0.999 * later_s))
        self.assertFalse(COOKIES.is_valid(cookie, host, port, now + 2.001 * SLOT_S))

    def test_until(self) -> None:
        """The two that are right stay so until it is said that they do not."""
        for now in (0.0, 1.0, 99.0, 100.0, 150.0):
            until = COOKIES.valid_until(now)
            self.assertGreater(until, now)
            self.assertEqual(COOKIES.valid_cookies("::1", 1, until - 0.001), COOKIES.valid_cookies("::1", 1, now))
            self.assertNotEqual(COOKIES.valid_cookies("::1", 1, until), COOKIES.valid_cookies("::1", 1, now))

    @given(st.text())
    def test_rubbish(self, text: str) -> None:
        """What was not given is not right, whatever it is."""
        self.assertFalse(COOKIES.is_valid(text, "10.0.0.1", 7, 0.0))


class StrangersShareTests(SynchronousTestCase):
    """How often strangers are answered."""

    def test_one_host(self) -> None:
        """One host gets so many at once, and so many in each second after."""
        share = StrangersShare(50)
        self.assertEqual(sum(share.allow("10.0.0.1", 0.0) for _ in range(1000)), 50)
        later = sum(share.allow("10.0.0.1", now / 1000) for now in range(10_000))
        self.assertAlmostEqual(later, 500, delta=1)

    def test_others(self) -> None:
        """Another host has its own share."""
        share = StrangersShare(50)
        for _ in range(1000):
            share.allow("10.0.0.1", 0.0)
        self.assertTrue(share.allow("10.0.0.2", 0.0))

    def test_all_hosts(self) -> None:
        """However many hosts there are, the answers to all of them have an end."""
        share = StrangersShare(50)
        hosts = [f"10.{a}.{b}.{c}" for a in range(4) for b in range(50) for c in range(250)]
        self.assertLessEqual(sum(share.allow(host, 0.0) for host in hosts), 128 * 50)
