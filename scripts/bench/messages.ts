/** The messages of the clients: a candidate and an offer, of the size that browsers write. ASCII only. */

/** The placeholder of a message's number: digits in a string that occur nowhere else. */
export const NUMBER = "00000000";

/** A message without its target, which {@link addressed} puts in. */
export type Message = Readonly<Record<string, unknown>>;

/** An ICE candidate: 221 bytes with a target of 11 characters. */
export function candidate(): Message {
  return {
    type: "candidate",
    candidate: {
      candidate: `candidate:${NUMBER} 1 udp 1677729535 203.0.113.7 46154 typ srflx ` +
        "raddr 10.0.0.17 rport 46154 generation 0 ufrag a1Bc",
      sdpMid: "0",
      sdpMLineIndex: 0,
    },
  };
}

/** An offer with audio, video and a data channel: 3.5 KB. */
export function offer(): Message {
  const lines = [
    "v=0",
    `o=- ${NUMBER} 2 IN IP4 127.0.0.1`,
    "s=-",
    "t=0 0",
    "a=group:BUNDLE 0 1 2",
    "a=msid-semantic: WMS stream",
    ...mediaSection("audio", 0, ["opus/48000/2", "red/48000/2", "PCMU/8000", "PCMA/8000"]),
    ...mediaSection("video", 1, VIDEO_CODECS),
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP4 0.0.0.0",
    ...transport(2),
    "a=sctp-port:5000",
    "a=max-message-size:262144",
  ];
  return { type: "offer", sdp: lines.join("\r\n") + "\r\n" };
}

const VIDEO_CODECS = [
  "VP8/90000",
  "rtx/90000",
  "VP9/90000",
  "H264/90000",
  "AV1/90000",
  "red/90000",
  "ulpfec/90000",
];

function mediaSection(kind: string, mid: number, codecs: readonly string[]): string[] {
  const payloadTypes = codecs.map((_, index) => 96 + 20 * mid + index);
  return [
    `m=${kind} 9 UDP/TLS/RTP/SAVPF ${payloadTypes.join(" ")}`,
    "c=IN IP4 0.0.0.0",
    "a=rtcp:9 IN IP4 0.0.0.0",
    ...transport(mid),
    "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    "a=sendrecv",
    `a=msid:stream ${kind}-track`,
    "a=rtcp-mux",
    "a=rtcp-rsize",
    ...codecs.flatMap((codec, index) => codecLines(payloadTypes[index]!, codec)),
    `a=ssrc:${1_234_567_891 + mid} cname:4TOk42mSjXCkVIa6`,
  ];
}

function codecLines(payloadType: number, codec: string): string[] {
  return [
    `a=rtpmap:${payloadType} ${codec}`,
    `a=rtcp-fb:${payloadType} transport-cc`,
    `a=rtcp-fb:${payloadType} nack pli`,
    `a=fmtp:${payloadType} minptime=10;useinbandfec=1;x-google-start-bitrate=800`,
  ];
}

function transport(mid: number): string[] {
  return [
    "a=ice-ufrag:a1Bc",
    "a=ice-pwd:7v8mUqUjHmlqmMXsSkhDcMfM",
    "a=ice-options:trickle",
    "a=fingerprint:sha-256 " + Array.from({ length: 32 }, (_, i) => hexByte(i * 7 + mid)).join(":"),
    "a=setup:actpass",
    `a=mid:${mid}`,
  ];
}

function hexByte(value: number): string {
  return (value & 0xff).toString(16).padStart(2, "0").toUpperCase();
}

/** The text for one client, or for all if `targetId` is null. */
export function addressed(message: Message, targetId: string | null): string {
  const { type, ...rest } = message;
  return JSON.stringify(targetId === null ? message : { type, target_id: targetId, ...rest });
}
