"""The page of a served fake in a real browser: every control, by mouse and by keyboard."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dub_uplink.testing import FakeDub, Request, Settings, faults

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402 - may be missing
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.select import Select  # noqa: E402

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMEDRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-proxy-server",
    "--window-size=1300,1400",
)
SECONDS = 30

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(CHROMEDRIVER is None, reason="chromedriver is not installed"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile: Path = tmp_path_factory.mktemp("profile")
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "*")
        driver = webdriver.Chrome(options, webdriver.ChromeService(CHROMEDRIVER))
        try:
            yield driver
        finally:
            driver.quit()


class Page:
    """The page of a fake in a browser."""

    def __init__(self, browser: Chrome, url: str) -> None:
        self.browser = browser
        self.url = f"{url}/_fake/"
        self.open()

    def open(self) -> None:
        self.browser.get(self.url)
        self.shows("message", "Connected")

    def __getitem__(self, id: str) -> WebElement:
        return self.browser.find_element(By.ID, id)

    def click(self, id: str) -> None:
        self[id].click()

    def type(self, id: str, text: str) -> None:
        self[id].clear()
        self[id].send_keys(text)

    def choose(self, id: str, text: str) -> None:
        Select(self[id]).select_by_visible_text(text)

    def submit(self, id: str) -> None:
        self[id].find_element(By.TAG_NAME, "button").click()

    def value(self, id: str) -> str | None:
        return self[id].get_property("value")  # type: ignore[return-value]

    def shows(self, id: str, text: str) -> None:
        eventually(lambda: text in self[id].text, lambda: self[id].text)

    def rows(self, id: str) -> list[list[str]]:
        script = (
            "return [...document.getElementById(arguments[0]).rows].map("
            "row => [...row.cells].map(cell => cell.innerText))"
        )
        found: list[list[str]] = self.browser.execute_script(script, id)
        return found

    def script(self, text: str) -> Any:
        return self.browser.execute_script(text)


def eventually(condition: Callable[[], object], shown: Callable[[], object] = lambda: None) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"it does not happen within {SECONDS} s; shown: {shown()}")
        time.sleep(0.02)


@pytest.fixture
def page(fake: FakeDub, browser: Chrome) -> Iterator[Page]:
    with fake.serve(admin=True) as url:
        yield Page(browser, url)
        # Violations of its policy, and exceptions; the network's are rejected requests.
        errors = [entry for entry in browser.get_log("browser") if entry["source"] != "network"]
        browser.get("about:blank")
    assert errors == []


def get(fake: FakeDub, path: str = "/customers", method: str = "GET", body: bytes = b"") -> None:
    headers = {"authorization": "Bearer dub_test"}
    path, _, query = path.partition("?")
    fake.handle(Request(method, path, query, headers, body))


CONTROLS = """
return [...document.querySelectorAll("button, input, select, textarea, a")]
  .map((one) => one.id || one.form.id);
"""


def test_admin_page_loads_nothing_from_other_urls(fake: FakeDub, page: Page) -> None:
    script = "return performance.getEntriesByType('resource').map(one => one.name)"
    assert all(name.startswith(page.url) for name in page.script(script))
    assert fake.requests == []


def test_admin_page_shows_status_duration_and_fault(fake: FakeDub, page: Page) -> None:
    fake.faults.add(faults.Status(503), method="GET")
    fake.faults.add(faults.DropAfter(), method="DELETE")
    get(fake, "/customers?country=GB&search=a%20b")
    get(fake, "/customers/ext_a", "DELETE")
    get(fake, "/customers", "POST", b'{"externalId": "a", "country": "GB"}')
    eventually(lambda: len(page.rows("requests")) == 3)
    post, delete, first = page.rows("requests")
    assert first[:4] == ["1", "GET", "/customers?country=GB&search=a+b", "503"]
    assert first[5] == "rejected with status 503"
    assert (delete[3], delete[5]) == ("dropped", "dropped after being applied")
    assert (post[1], post[3], post[5]) == ("POST", "201", "")
    assert all(re.fullmatch(r"\d+\.\d", row[4]) for row in (first, delete, post))
    page["requests"].find_element(By.TAG_NAME, "summary").click()
    assert '"externalId": "a"' in page["requests"].find_element(By.TAG_NAME, "pre").text


def test_pause_button_hides_new_requests_until_released(fake: FakeDub, page: Page) -> None:
    page.click("pause")
    assert page["pause"].get_attribute("aria-pressed") == "true"
    get(fake)
    time.sleep(2.5)
    assert page.rows("requests") == []
    page.click("pause")
    eventually(lambda: len(page.rows("requests")) == 1)


def test_paused_admin_page_shows_no_request_after_a_click(fake: FakeDub, page: Page) -> None:
    page.click("pause")
    get(fake)
    page.click("DropAfter")
    page.shows("queue", "the next 3 requests")
    assert page.rows("requests") == []
    page.click("pause")
    eventually(lambda: len(page.rows("requests")) == 1)


def test_clear_button_empties_the_table_of_requests(fake: FakeDub, page: Page) -> None:
    get(fake)
    eventually(lambda: page.rows("requests"))
    page.click("clear-requests")
    eventually(lambda: page.rows("requests") == [])
    assert fake.requests == []
    get(fake)
    eventually(lambda: [row[0] for row in page.rows("requests")] == ["2"])


BUTTONS: list[tuple[faults.Fault, str, str, str]] = [
    (faults.DropBefore(), "", "", "dropped before being applied"),
    (faults.DropAfter(), "", "", "dropped after being applied"),
    (faults.Status(500), "code", "500", "rejected with status 500"),
    (faults.RateLimited(), "retryAfter", "", "rejected with 429 and Retry-After like Dub's"),
    (faults.RateLimited(2.5), "retryAfter", "2.5", "rejected with 429 and Retry-After 2.5"),
    (faults.Truncate(7), "bytes", "7", "cut off after 7 bytes"),
    (faults.Delay(0.5), "seconds", "0.5", "late by 0.5 s"),
    (faults.Drip(9), "bytesPerSecond", "9", "slowed to 9 bytes/s"),
    (faults.Garbage(), "", "", "replaced by an HTML page"),
]


@pytest.mark.parametrize(("fault", "parameter", "value", "text"), BUTTONS)
def test_fault_button_queues_the_fault_for_three_requests(
    fake: FakeDub, page: Page, fault: faults.Fault, parameter: str, value: str, text: str
) -> None:
    button = type(fault).__name__
    if parameter:
        page.type(f"{button}-{parameter}", value)
    assert page[button].accessible_name == f"The next 3 requests: {page[button].text}"
    page.click(button)
    eventually(lambda: page["queue"].text == f"the next 3 requests: {text}")
    assert page["message"].text == f"Queued for 3 requests: {text}."
    assert fake.faults.pending == [fault] * 3


RECORD_CONTROLS = """
window.used = new Set();
for (const type of ["click", "change"]) document.addEventListener(type, ({ target }) => {
  const control = target.closest("button, input, select");
  if (control && (control.tagName === "BUTTON") === (type === "click"))
    window.used.add(control.id || control.form.id);
}, true);
"""


def test_every_admin_page_control_has_the_expected_effect(fake: FakeDub, page: Page) -> None:
    page.script(RECORD_CONTROLS)
    page.choose("times", "1 request")
    page.choose("method", "GET")
    page.type("path", "/customers")
    expected: list[faults.Fault] = []
    for fault, parameter, value, _ in {type(case[0]): case for case in BUTTONS}.values():
        button = type(fault).__name__
        if parameter:
            page.type(f"{button}-{parameter}", value)
        page.click(button)
        expected.append(fault)
        eventually(lambda: fake.faults.pending == expected)
    assert {(one.times, one.method, one.path) for one in fake.faults.queue} == {
        (1, "GET", "/customers")
    }
    page.click("clear-faults")
    eventually(lambda: fake.faults.queue == [])

    page.choose("role", "member")
    page.choose("plan", "enterprise")
    for field, text in (("rateLimit", "50"), ("window", "30"), ("latency", "0.001")):
        page.type(field, text)
    page.type("defaultProgram", "prog_1")
    page.submit("settings")
    changed = Settings("member", "enterprise", "prog_1", 50, 30, 0.001)
    eventually(lambda: fake.settings == changed, lambda: fake.settings)

    page.type("seconds", "90")
    page.submit("advance")
    eventually(lambda: fake.clock.offset == 90)
    for _ in range(7):  # month, day, year, hour, minute, second, AM or PM
        page["moment"].send_keys(Keys.ARROW_UP, Keys.ARROW_RIGHT)
    page.submit("set")
    eventually(lambda: fake.clock.offset != 90)

    page.type("externalId", "ada")
    page.type("name", "Ada")
    page.submit("add")
    eventually(lambda: [(one.external_id, one.name) for one in fake.customers] == [("ada", "Ada")])
    page.type("count", "3")
    page.submit("seed")
    eventually(lambda: fake.customer_count == 4)
    page.click("clear-customers")
    eventually(lambda: fake.customer_count == 0)

    page.click("pause")
    assert page["message"].text == "Paused: the page shows no new requests."
    page.click("pause")
    get(fake)
    eventually(lambda: len(page.rows("requests")) == 1)
    page.click("clear-requests")
    eventually(lambda: fake.requests == [])
    page.click("reset")
    eventually(lambda: fake.settings == Settings() and fake.clock.offset == 0)

    assert set(page.script("return [...window.used]")) == set(page.script(CONTROLS))


def test_admin_page_without_a_final_slash_works(page: Page) -> None:
    page.url = page.url.removesuffix("/")
    page.open()
    page.click("DropAfter")
    page.shows("message", "Queued for 3 requests")


def test_admin_page_shows_the_newest_of_many_requests(fake: FakeDub, page: Page) -> None:
    for _ in range(3000):
        get(fake, "/customers/ext_a")
    page.open()
    rows = page.rows("requests")
    assert (rows[0][0], len(rows)) == ("3000", 200)


def test_admin_page_reports_a_response_that_is_not_json(fake: FakeDub, browser: Chrome) -> None:
    server = fake.serve(admin=True)
    with server as url:
        page = Page(browser, url)
    with fake.serve(port=server.port):
        page.shows("message", "The response is not JSON; its status is 404.")
        browser.get("about:blank")
    browser.get_log("browser")


def test_admin_page_shows_all_fields_of_a_queued_fault(fake: FakeDub, page: Page) -> None:
    fake.faults.add(faults.Status(418, headers={"X": "y"}, carried_out=True))
    fake.faults.add(faults.RateLimited(None))
    page.shows("queue", 'rejected with status 418, headers {"X":"y"}, carriedOut true')
    page.shows("queue", "rejected with 429 and Retry-After left out")


def test_form_rejected_by_the_browser_replaces_the_last_message(fake: FakeDub, page: Page) -> None:
    page["settings"].find_element(By.TAG_NAME, "button").click()
    page.shows("message", "Settings are applied.")
    page.type("latency", "-3")
    page["settings"].find_element(By.TAG_NAME, "button").click()
    page.shows("message", "Latency, seconds: ")
    assert fake.settings.latency == 0


def test_drop_button_executes_requests_then_drops_connections(fake: FakeDub, page: Page) -> None:
    page.choose("times", "1 request")
    page.choose("method", "POST")
    page.type("path", "/customers*")
    page.click("DropAfter")
    page.shows("queue", "the next request (POST /customers*): dropped after being applied")
    get(fake)
    get(fake, "/customers", "POST", b'{"externalId": "a", "country": "GB"}')
    page.shows("queue", "No fault is queued.")
    assert [request.status for request in fake.requests] == [200, None]
    assert len(fake.customers) == 1


def test_admin_page_removes_faults_for_all_requests(fake: FakeDub, page: Page) -> None:
    fake.faults.randomly({faults.Status(502): 0.05}, seed=1)
    page.choose("times", "all requests")
    assert page["Garbage"].accessible_name.startswith("The next and all requests: ")
    page.click("Garbage")
    page.shows("queue", "all requests: replaced by an HTML page")
    page.shows("queue", "5 % of all requests: rejected with status 502")
    page.click("clear-faults")
    page.shows("queue", "No fault is queued.")
    assert (fake.faults.pending, fake.faults.shares) == ([], {})


def test_admin_page_reports_a_rejected_fault(fake: FakeDub, page: Page) -> None:
    page.type("Status-code", "99")
    page.click("Status")
    page.shows("message", "'code' must be an integer from 200 to 599; got 99")
    assert fake.faults.pending == []


def test_admin_page_reports_a_fault_field_that_is_no_number(fake: FakeDub, page: Page) -> None:
    page["RateLimited-retryAfter"].send_keys("1e")
    page.click("RateLimited")
    page.shows("message", "rejected with 429 and Retry-After N: ")
    assert "failed" in (page["message"].get_attribute("class") or "")
    assert fake.faults.pending == []


def test_admin_page_shows_the_rate_limit(fake: FakeDub, page: Page) -> None:
    page.shows("limit-mode", "not enforced")
    fake.configure(rate_limit=4)
    for _ in range(3):
        get(fake)
    page.shows("limit-text", "3 of 4 requests in 60 s")
    assert (page["limit"].get_property("value"), page["limit"].get_property("max")) == (3, 4)
    assert page["limit-mode"].text == "enforced"


def test_admin_page_advances_and_sets_the_clock(fake: FakeDub, page: Page) -> None:
    page.type("seconds", "5400")
    page["advance"].find_element(By.TAG_NAME, "button").click()
    page.shows("now", "(+1 h 30 min)")
    assert fake.clock.offset == 5400
    field = page["moment"]
    page.script("document.getElementById('moment').value = '2020-02-03T04:05:06'")
    page["set"].find_element(By.TAG_NAME, "button").click()
    page.shows("now", "2020-02-03 04:05:")
    assert field.is_displayed()
    moment = dt.datetime(2020, 2, 3, 4, 5, 6, tzinfo=dt.timezone.utc).timestamp()
    assert 0 <= fake.clock.time() - moment < SECONDS


def test_admin_page_marks_a_frozen_clock(fake: FakeDub, page: Page) -> None:
    fake.clock.freeze()
    page.shows("now", "(frozen)")
    fake.clock.advance(60)
    page.shows("now", "(+1 min, frozen)")


def test_admin_page_shows_and_applies_settings(fake: FakeDub, page: Page) -> None:
    fake.configure(rate_limit=9)
    eventually(lambda: page.value("rateLimit") == "9")
    page.choose("role", "viewer")
    page.choose("plan", "advanced")
    page.type("rateLimit", "7")
    page.type("window", "30")
    page.type("latency", "0.25")
    page.type("defaultProgram", "prog_1")
    page["settings"].find_element(By.TAG_NAME, "button").click()
    page.shows("message", "Settings are applied.")
    settings = fake.settings
    assert (settings.role, settings.plan, settings.rate_limit) == ("viewer", "advanced", 7)
    assert (settings.window, settings.latency) == (30, 0.25)
    assert settings.default_program == "prog_1"
    page["rateLimit"].clear()
    page["settings"].find_element(By.TAG_NAME, "button").click()
    eventually(lambda: fake.settings.rate_limit is None)


def test_admin_page_does_not_overwrite_settings_being_edited(fake: FakeDub, page: Page) -> None:
    page.type("defaultProgram", "prog_9")
    get(fake)
    eventually(lambda: page.rows("requests"))
    assert page.value("defaultProgram") == "prog_9"


def test_admin_page_adds_seeds_and_removes_customers(fake: FakeDub, page: Page) -> None:
    page.type("externalId", "ada")
    page.type("name", "Ada")
    page["add"].find_element(By.TAG_NAME, "button").click()
    eventually(lambda: page.rows("customers"))
    assert page.rows("customers")[0][:2] == ["ada", "Ada"]
    page["add"].find_element(By.TAG_NAME, "button").click()
    page.shows("message", "'externalId' is taken by another customer")
    page.type("count", "60")
    page["seed"].find_element(By.TAG_NAME, "button").click()
    page.shows("customer-count", "61")
    assert len(page.rows("customers")) == 50
    page.click("clear-customers")
    eventually(lambda: page.rows("customers") == [])
    assert fake.customer_count == 0


def test_admin_page_escapes_html_in_request_data(fake: FakeDub, page: Page) -> None:
    attack = "<img src=x onerror=\"document.title='attacked'\"><b>x</b>"
    fake.add(external_id=attack, name=attack, email=attack, country=attack)
    fake.faults.add(faults.Status(418, body=attack), times=2, path=f"/{attack}")
    get(fake, f"/{attack}?{attack}", "POST", attack.encode())
    eventually(lambda: page.rows("customers") and page.rows("requests"))
    assert page.rows("customers")[0][:4] == [attack] * 4
    assert attack in page.rows("requests")[0][2]
    page.shows("queue", f"(/{attack})")
    assert page.browser.find_elements(By.CSS_SELECTOR, "main img, main b") == []
    assert page.browser.title == "Fake Dub"


def test_reset_button_empties_the_admin_page(fake: FakeDub, page: Page) -> None:
    fake.add_many(3)
    fake.faults.add(faults.Status(503), times=None, method="PATCH")
    fake.clock.advance(60)
    get(fake)
    eventually(lambda: page.rows("requests") and page.rows("customers"))
    page.click("reset")
    page.shows("message", "Everything is reset.")
    eventually(lambda: page.rows("requests") == page.rows("customers") == [])
    page.shows("queue", "No fault is queued.")
    assert (fake.customer_count, fake.requests, fake.clock.offset) == (0, [], 0)


def test_admin_page_reports_a_stopped_server_and_reconnects(fake: FakeDub, browser: Chrome) -> None:
    server = fake.serve(admin=True)
    with server as url:
        page = Page(browser, url)
    page.shows("message", "No connection to the fake")
    with fake.serve(port=server.port, admin=True):
        page.shows("message", "Connected")
        browser.get("about:blank")
    browser.get_log("browser")


@pytest.mark.parametrize("count", [2, 5])
def test_admin_page_shows_only_requests_of_a_new_fake(browser: Chrome, count: int) -> None:
    with FakeDub() as fake:
        server = fake.serve(admin=True)
        with server as url:
            page = Page(browser, url)
            for _ in range(3):
                get(fake, "/customers/ext_old")
            eventually(lambda: len(page.rows("requests")) == 3)
        page.shows("message", "No connection to the fake")
    with FakeDub() as fake:
        for _ in range(count):
            get(fake, "/customers/ext_new")
        with fake.serve(port=server.port, admin=True):
            page.shows("message", "Connected")
            numbers = [str(number) for number in range(count, 0, -1)]
            assert [row[0] for row in page.rows("requests")] == numbers
            assert {row[2] for row in page.rows("requests")} == {"/customers/ext_new"}
            browser.get("about:blank")
    browser.get_log("browser")


def test_admin_page_does_not_load_large_bodies(fake: FakeDub, page: Page) -> None:
    get(fake, "/customers", "POST", b'{"name": "%s"}' % (b"a" * 9000))
    get(fake, "/customers", "POST", b'{"name": "%s"}' % (b"a" * 900_000))
    eventually(lambda: len(page.rows("requests")) == 2)
    cut, complete = page.script(
        "return [...document.querySelectorAll('#requests pre')].map(pre => pre.textContent)"
    )
    assert (cut, len(complete) > 9000) == ('"[900,012 bytes, not shown]"', True)


FOCUSED = """
const one = document.activeElement;
return [one.id || one.textContent.trim() || one.getAttribute("aria-labelledby"),
  getComputedStyle(one).outlineStyle];
"""


def test_tab_key_reaches_every_admin_page_control_in_order(page: Page) -> None:
    script = (
        "return [...document.querySelectorAll('button, input, select, [tabindex]')].map("
        "one => one.id || one.textContent.trim() || one.getAttribute('aria-labelledby'))"
    )
    expected = page.script(script)
    keyboard = ActionChains(page.browser)
    seen: list[str] = []
    while len(seen) < len(expected):
        keyboard.send_keys(Keys.TAB).perform()
        name, outline = page.script(FOCUSED)
        if name not in seen:  # a time has a stop for each of its parts
            assert outline != "none", name
            seen.append(name)
        elif name != "moment":
            break
    assert seen == expected


def test_admin_page_buttons_work_with_the_keyboard(fake: FakeDub, page: Page) -> None:
    page["DropAfter"].send_keys(Keys.ENTER)
    page.shows("queue", "dropped after being applied")
    page["clear-faults"].send_keys(Keys.SPACE)
    page.shows("queue", "No fault is queued.")
    page["externalId"].send_keys("ada", Keys.ENTER)
    eventually(lambda: fake.customer_count == 1)


def test_admin_page_controls_and_messages_are_accessible(page: Page) -> None:
    for element in page.browser.find_elements(By.CSS_SELECTOR, "button, input, select, meter"):
        assert element.accessible_name
    assert page["message"].get_attribute("aria-live") == "polite"
    assert page["message"].aria_role == "status"


CONTRAST = """
const luminance = (color) => {
  const [r, g, b] = color.match(/[\\d.]+/g).map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const style = (id) => getComputedStyle(document.querySelector(id));
const card = luminance(style("section").backgroundColor);
return [card, ["h2", ".hint", ".good", ".warn", ".bad", "button", "label"].map((id) => {
  const text = luminance(style(id).color);
  return (Math.max(text, card) + 0.05) / (Math.min(text, card) + 0.05);
})];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_admin_page_has_contrast_in_light_and_dark_schemes(
    fake: FakeDub, page: Page, scheme: str
) -> None:
    for path, fault in (("/customers", None), ("/x", None), ("/customers", faults.DropAfter())):
        if fault:
            fake.faults.add(fault)
        get(fake, path)
    eventually(lambda: len(page.rows("requests")) == 3)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    card, ratios = page.script(CONTRAST)
    assert (card > 0.5) == (scheme == "light")
    assert min(ratios) >= 4.5


@pytest.mark.parametrize("width", [320, 500])
def test_admin_page_fits_a_narrow_window(fake: FakeDub, page: Page, width: int) -> None:
    fake.add(external_id="a" * 60, name="Ada", email="ada.lovelace@example.com", country="GB")
    fake.faults.add(faults.Status(503))
    get(fake, "/customers?search=" + "a" * 100, "POST", b'{"name": "Ada"}')
    eventually(lambda: page.rows("requests") and page.rows("customers"))
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        widths = page.script("return [document.documentElement.scrollWidth, innerWidth]")
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert widths[0] <= widths[1] == width


def test_admin_page_asks_for_the_admin_token(fake: FakeDub, browser: Chrome) -> None:
    with fake.serve(admin=True, admin_token="s3cret") as url:
        browser.get(f"{url.replace('://', '://any:s3cret@')}/_fake/")
        eventually(lambda: browser.find_element(By.ID, "message").text == "Connected")
        browser.get(f"{url}/_fake/")  # the browser keeps what it was given
        eventually(lambda: browser.find_element(By.ID, "message").text == "Connected")
        browser.get("about:blank")
