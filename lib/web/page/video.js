// @ts-check
/// <reference lib="dom" />

/** A video to send: of the camera, or a drawn one if there is no camera. */

const WIDTH = 480;
const HEIGHT = 270;
const FRAMES_PER_SECOND = 15;

/**
 * @typedef {object} Picture
 * @property {MediaStream} stream
 * @property {boolean} isCamera
 * @property {() => void} stop
 */

/**
 * @param {string} name written into the drawn picture
 * @param {string} colour of the drawn picture
 * @returns {Promise<Picture>}
 */
export async function openPicture(name, colour) {
  try {
    // Pages over plain http have no mediaDevices, unless they are of this machine.
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: WIDTH } });
    return { stream, isCamera: true, stop: () => stopTracks(stream) };
  } catch {
    return drawnPicture(name, colour);
  }
}

/**
 * @param {string} name
 * @param {string} colour
 * @returns {Picture}
 */
function drawnPicture(name, colour) {
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  draw(context, name, colour);
  // requestAnimationFrame would stop in a hidden tab.
  const timer = setInterval(() => draw(context, name, colour), 1000 / FRAMES_PER_SECOND);
  const stream = canvas.captureStream(FRAMES_PER_SECOND);
  const stop = () => {
    clearInterval(timer);
    stopTracks(stream);
  };
  return { stream, isCamera: false, stop };
}

/**
 * Draws a lamp that swings over the name and the time.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {string} name
 * @param {string} colour
 */
function draw(context, name, colour) {
  const swing = Math.sin(performance.now() / 700);
  context.fillStyle = "#14171c";
  context.fillRect(0, 0, WIDTH, HEIGHT);
  context.fillStyle = colour;
  context.fillRect(0, HEIGHT - 8, WIDTH, 8);
  context.beginPath();
  context.arc(WIDTH / 2 + swing * 150, 78 - Math.abs(swing) * 18, 26, 0, 2 * Math.PI);
  context.fill();
  context.fillStyle = "#ffffff";
  context.textAlign = "center";
  context.font = "600 30px system-ui, sans-serif";
  context.fillText(name, WIDTH / 2, 170, WIDTH - 40);
  context.font = "20px ui-monospace, monospace";
  context.fillText(new Date().toISOString().slice(11, 23), WIDTH / 2, 210);
}

/** @param {MediaStream} stream */
function stopTracks(stream) {
  for (const track of stream.getTracks()) track.stop();
}
