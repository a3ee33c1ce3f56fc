"""A headless browser that reaches nothing but the site, and notes what a page complains of."""

from typing import Any

from playwright.sync_api import Browser, Page

SIZES = ((1280, 900), (390, 844))

# Nothing of Chromium's own goes to the network.
FLAGS = "no-sandbox disable-gpu disable-background-networking disable-component-update"
FLAGS += " disable-sync no-first-run disable-quic"
ARGUMENTS = [f"--{flag}" for flag in FLAGS.split()]

# A new size is laid out with the next frame, and the theme moves its sidebars in transitions.
SETTLED = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  await frame();
  await frame();
  const moving = document.getAnimations().filter(some => some instanceof CSSTransition);
  await Promise.allSettled(moving.map(some => some.finished));
}"""


class Visit:
    """A page of the site in a browser that reaches nothing but the site."""

    def __init__(
        self, browser: Browser, address: str, size: tuple[int, int], **settings: Any
    ) -> None:
        self.trouble: list[str] = []
        self.scripts = settings.get("java_script_enabled", True)
        self.address = address
        width, height = size
        viewport = {"width": width, "height": height}
        self.context = browser.new_context(viewport=viewport, **settings)
        self.context.route("**/*", self._guard)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.trouble.append(f"script: {error}"))
        self.page.on("response", self._check)

    def resize(self, size: tuple[int, int]) -> None:
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        if self.scripts:
            self.page.evaluate(SETTLED)

    def open(self, path: str) -> Page:
        self.page.goto(f"{self.address}/{path}", wait_until="load")
        if self.scripts:
            self.page.evaluate("() => document.fonts.ready.then(() => null)")
        return self.page

    def _guard(self, route) -> None:
        if route.request.url.startswith((self.address, "data:", "blob:")):
            route.continue_()
        else:
            self.trouble.append(f"asked another host: {route.request.url}")
            route.abort()

    def _listen(self, message) -> None:
        if message.type in ("error", "warning"):
            self.trouble.append(f"console: {message.text}")

    def _check(self, response) -> None:
        if response.status >= 400:
            self.trouble.append(f"{response.status}: {response.url}")
