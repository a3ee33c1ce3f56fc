// What scrolls in its own box can be reached and scrolled by keyboard.
(() => {
  const wide = "mjx-container[display], div.math, .pst-scrollable-table-container, pre";
  const mark = () => {
    for (const box of document.querySelectorAll(wide)) {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  addEventListener("load", mark);
  addEventListener("resize", mark);
})();
