// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />

/** The texts of the page: English, and Chinese if the browser's language is Chinese. */

/** @type {Readonly<Record<string, string>>} */
const CHINESE = {
  "signalbox: see two peers connect": "signalbox:看两端如何建立连接",
  "Two peers meet through this server, then talk directly.": "两端经本服务器相识,然后直接通信。",
  "Skip to the messages on the wire": "跳到收发的消息",
  "Two peers meet through this server. From then on they talk to each other directly.":
    "两端经本服务器相识,此后彼此直接通信。",
  "This page needs JavaScript.": "本页面需要 JavaScript。",
  "Overview": "概览",
  "Room": "房间",
  "optional": "可选",
  "default room": "默认房间",
  "The second peer is": "第二端位于",
  "in this page": "本页面",
  "another device": "另一台设备",
  "Connect both": "连接两端",
  "Connect": "连接",
  "Disconnect": "断开",
  "On the wire": "收发的消息",
  "Every message between this page and the server, newest first.":
    "本页面与服务器之间的每一条消息,最新的在前。",
  "Client": "客户端",
  "all": "全部",
  "Contains": "包含",
  "offer, candidate, …": "offer、candidate……",
  "Pause": "暂停",
  "Clear": "清空",
  "No messages yet.": "还没有消息。",
  "Messages: {0}.": "共 {0} 条。",
  "Messages: {0} of {1}.": "显示 {0} 条,共 {1} 条。",
  " Paused: {0} more not shown.": "已暂停,另有 {0} 条未显示。",
  "ICE servers": "ICE 服务器",
  "The server hands them out to a peer that registers. Do they answer from here?":
    "服务器会把它们下发给已注册的一端。从这里能连上它们吗?",
  "Check the ICE servers": "检查 ICE 服务器",
  "this device": "本设备",
  "The server hands out none (--ice-server).": "服务器没有下发 ICE 服务器(--ice-server)。",
  "The browser gives no address of its own away.": "浏览器没有给出任何本机地址。",
  "Own addresses: {0}.": "本机地址:{0} 个。",
  "Answers: it sees this device as {0}.": "有应答:它看到本设备的地址是 {0}。",
  "Answers: it relays at {0}.": "有应答:中继地址是 {0}。",
  "No other address: there is no NAT, or no answer.": "没有其他地址:没有 NAT,或没有应答。",
  "Refuses the credentials ({0}): --turn-secret is another one there, or the clocks differ.":
    "拒绝凭据({0}):其密钥与 --turn-secret 不同,或时钟不一致。",
  "Does not answer: is it running, and are its ports open, UDP and TCP?":
    "没有应答:它在运行吗?其 UDP 和 TCP 端口开放了吗?",
  "to server": "发往服务器",
  "from server": "来自服务器",
  "from {0}": "来自 {0}",
  "for {0}": "发给 {0}",
  "(no type)": "(无类型)",
  "(hidden)": "(已隐藏)",
  "Your own page needs one import:": "在你自己的页面中只需导入一个文件:",
  ". Any client that sends JSON over a WebSocket can join in, at":
    "。任何能通过 WebSocket 发送 JSON 的客户端都可以加入,地址是",
  ". Programs for other servers connect unchanged:": "。为其他服务器编写的程序无需修改即可连接:",
  "only if the server runs with": "仅当服务器的启动参数包含",
  "Signaling": "信令",
  "Connection": "连接状态",
  "Data channel": "数据通道",
  "Token": "令牌",
  "Try again": "重试",
  "Call": "呼叫",
  "Send video": "发送视频",
  "Stop video": "停止视频",
  "Hang up": "挂断",
  "What you write here goes from peer to peer, never through the server.":
    "这里的文字由一端直达另一端,不经过服务器。",
  "Message": "消息",
  "Send": "发送",
  "You": "我",
  "Bring another device": "邀请另一台设备",
  "Open this link in a second tab, on a phone or on a friend's computer. It joins as":
    "在另一个标签页、手机或朋友的电脑上打开此链接,它将以",
  "and calls": "的身份加入,并呼叫",
  "QR code of the link": "链接的二维码",
  "Link": "链接",
  "Copy": "复制",
  "Copied": "已复制",
  "Other devices cannot reach this address. Open this page under the address that this machine has in your network.":
    "其他设备无法访问此地址。请用本机在局域网中的地址打开本页面。",
  "ID of the first peer": "第一端的 ID",
  "ID of the second peer": "第二端的 ID",
  "no direct connection yet": "尚未直接连接",
  "looking for a direct path": "正在寻找直连路径",
  "direct connection": "已直接连接",
  "interrupted": "连接中断",
  "no path found, trying again": "未找到路径,正在重试",
  "No peer is connected.": "两端均未连接。",
  "{0} has reached the server.": "{0} 已连上服务器。",
  "{0} and {1} have reached the server.": "{0} 和 {1} 已连上服务器。",
  "{0} and {1} are connected directly.": "{0} 与 {1} 已直接连接。",
  "{0} has hung up.": "{0} 已挂断。",
  "not connected": "未连接",
  "connecting": "连接中",
  "registered": "已注册",
  "waiting": "等待重连",
  "none": "无",
  "new": "新建",
  "checking": "检查中",
  "connected": "已连接",
  "completed": "已完成",
  "disconnected": "已中断",
  "failed": "失败",
  "closed": "已关闭",
  "closing": "关闭中",
  "open": "已打开",
  "The server cannot be reached.": "无法连上服务器。",
  "The server cannot be reached. Next attempt in {0} s.": "无法连上服务器,{0} 秒后重试。",
  " The call goes on meanwhile.": "通话不受影响。",
  "This server asks for a valid token. Paste one here; its operator can make it with":
    "本服务器要求有效的令牌。请粘贴令牌;服务器管理员可以用下面的命令生成:",
  "The token is valid, but not for {0} in this room. Paste another one.":
    "令牌有效,但不适用于此房间中的 {0}。请粘贴另一个令牌。",
  "Another client is connected as {0}. Choose another ID, and connect again.":
    "{0} 已被另一个客户端使用。请换一个 ID 再连接。",
  "The server holds {0} for a client that lost its connection. Please wait.":
    "服务器正为断线的客户端保留 {0},请稍候。",
  "Another client has connected as {0}, such as a second tab. Choose another ID.":
    "另一个客户端(例如另一个标签页)已用 {0} 连接。请换一个 ID。",
  "The server is full. Please wait.": "服务器已满,请稍候。",
  "IDs and rooms have 1 to 128 characters, no control characters.":
    "ID 和房间名为 1 到 128 个字符,不能包含控制字符。",
  "The other peer is not connected. Connect it, and call again.":
    "对方未连接。请先连接对方,再呼叫。",
  "The other peer is not connected, and its mailbox is full.": "对方未连接,且其信箱已满。",
  "Too many messages at once: the server did not forward one of them.":
    "消息过于频繁,服务器有一条未转发。",
};

const ATTRIBUTES = ["placeholder", "aria-label", "content"];

/**
 * Translates a text of the page.
 *
 * @param {string} text English, with `{0}`, `{1}` for the values
 * @param {(string | number)[]} values
 */
export function t(text, ...values) {
  const pattern = isChinese() ? CHINESE[text] ?? text : text;
  return pattern.replace(/\{(\d)\}/g, (_, index) => String(values[index]));
}

/** Translates the document and its templates. */
export function translatePage() {
  if (!isChinese()) return;
  document.documentElement.lang = "zh-CN";
  const templates = Array.from(document.querySelectorAll("template"), ({ content }) => content);
  for (const root of [document.documentElement, ...templates]) translateBelow(root);
}

/** @param {Node & ParentNode} root */
function translateBelow(root) {
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node !== null; node = texts.nextNode()) {
    const text = (node.nodeValue ?? "").trim().replace(/\s+/g, " ");
    const chinese = CHINESE[text];
    if (chinese !== undefined) node.nodeValue = chinese;
  }
  for (const element of root.querySelectorAll("*")) {
    for (const name of ATTRIBUTES) {
      const chinese = CHINESE[element.getAttribute(name) ?? ""];
      if (chinese !== undefined) element.setAttribute(name, chinese);
    }
  }
}

function isChinese() {
  return navigator.language.toLowerCase().startsWith("zh");
}
