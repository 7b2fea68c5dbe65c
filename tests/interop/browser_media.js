/** Code that the peers in a browser share: a picture to send, what they show, and their greetings. */

"use strict";

const FRAMES_PER_REPORT = 30;

function movingPicture() {
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
  const context = canvas.getContext("2d");
  let step = 0;
  setInterval(() => {
    step++;
    context.fillStyle = `hsl(${step % 360} 60% 50%)`;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = "white";
    context.fillRect((4 * step) % canvas.width, 100, 40, 40);
  }, 1000 / 30);
  return canvas.captureStream().getVideoTracks()[0];
}

/** Shows a video, and says how many of its frames have been shown. */
function show(track) {
  if (track.kind !== "video") return;
  const video = document.querySelector("#video");
  video.srcObject = new MediaStream([track]);
  let frames = 0;
  video.requestVideoFrameCallback(function count(_now, { width, height }) {
    frames++;
    if (frames % FRAMES_PER_REPORT === 0) say(`video frames: ${frames} (${width}x${height})`);
    video.requestVideoFrameCallback(count);
  });
}

function say(line) {
  const item = document.createElement("li");
  item.textContent = line;
  document.querySelector("#log").append(item);
}

/** Sends a greeting once the channel is open. */
function greet(channel, clientId) {
  channel.onopen = () => {
    say("data channel open");
    channel.send(`hello from ${clientId}`);
  };
  channel.onmessage = ({ data }) => say(`received: ${data}`);
}

/** Answers each greeting. */
function greetBack(channel, clientId) {
  say("data channel open");
  channel.onmessage = ({ data }) => {
    say(`received: ${data}`);
    channel.send(`hello from ${clientId}`);
  };
}

Object.assign(globalThis, { movingPicture, show, say, greet, greetBack });
