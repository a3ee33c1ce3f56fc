// A handout is one page: what is too long is set smaller, down to a size that can still be read.
(() => {
  const sheet = document.querySelector(".sheet");
  const most = (277 * 96) / 25.4 - 2; // A4 less its margins, in pixels
  const fit = () => {
    sheet.style.removeProperty("--size");
    sheet.style.width = "186mm";
    sheet.style.padding = "0";
    for (let size = 10.5; size >= 6.5; size -= 0.25) {
      sheet.style.setProperty("--size", `${size}pt`);
      fitFormulas(sheet);
      if (sheet.scrollHeight <= most) break;
    }
    sheet.style.removeProperty("width");
    sheet.style.removeProperty("padding");
  };
  const begin = () => {
    if (!matchMedia("screen and (max-width: 700px)").matches) fit();
  };
  Promise.all([document.fonts.ready, ...[...document.images].map((image) => image.decode())]).then(begin, begin);
  addEventListener("beforeprint", fit);
})();
