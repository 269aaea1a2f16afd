/** What is drawn on a canvas, for tests in Chromium. */

/** Whether the plot of a session has points in the colour of this CSS variable: a script for the page. */
export function hasDrawn(colour: string): string {
  return `(() => {
    const canvas = document.querySelector(".session-plot canvas");
    if (!canvas) return false;
    const style = getComputedStyle(canvas).getPropertyValue("${colour}").trim();
    const [r, g, b] = style.match(/[0-9a-f]{2}/g).map((digits) => parseInt(digits, 16));
    // A copy: reading the plot's own canvas makes Chromium warn.
    const copy = new OffscreenCanvas(canvas.width, canvas.height)
      .getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < data.length; i += 4) {
      if (data[i] === r && data[i + 1] === g && data[i + 2] === b && data[i + 3] === 255) return true;
    }
    return false;
  })()`;
}
