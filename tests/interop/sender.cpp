/**
 * A peer in C++ that calls another one. It offers a data channel and, by default, a test
 * picture in VP8, and says on stdout what happens. It is made of GStreamer's webrtcbin, and of
 * libsoup for the WebSocket. A lost connection to the server does not end the call: the sender comes
 * back, and resumes.
 *
 *     g++ -std=c++20 -O2 sender.cpp -o sender $(pkg-config --cflags --libs \
 *       gstreamer-webrtc-1.0 gstreamer-sdp-1.0 libsoup-3.0 json-glib-1.0)
 *     ./sender sender.json
 *
 * On Debian 12 it takes g++, pkg-config, libgstreamer-plugins-bad1.0-dev, libsoup-3.0-dev and
 * libjson-glib-dev to build it, and to run it gstreamer1.0-plugins-base, gstreamer1.0-plugins-good,
 * gstreamer1.0-plugins-bad and gstreamer1.0-nice.
 */

#include <glib-unix.h>
#include <json-glib/json-glib.h>
#include <libsoup/soup.h>

#define GST_USE_UNSTABLE_API  // GStreamer's WebRTC library is still called unstable
#include <gst/gst.h>
#include <gst/sdp/sdp.h>
#include <gst/webrtc/webrtc.h>

#include <algorithm>
#include <csignal>
#include <deque>
#include <functional>
#include <initializer_list>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace {

template <auto release>
struct Release {
  void operator()(auto* pointer) const { release(pointer); }
};

template <typename T>
using Object = std::unique_ptr<T, Release<g_object_unref>>;
using Text = std::unique_ptr<char, Release<g_free>>;
using Error = std::unique_ptr<GError, Release<g_error_free>>;
using Description =
    std::unique_ptr<GstWebRTCSessionDescription, Release<gst_webrtc_session_description_free>>;

/** Prints a line in one piece: GStreamer calls from several threads. */
void say(const std::string& line) { std::cout << line + "\n" << std::flush; }

template <typename T>
Object<T> property(gpointer object, const char* name) {
  T* value = nullptr;
  g_object_get(object, name, &value, nullptr);
  return Object<T>(value);
}

/** The loop of all that runs here, until a signal ends it or something fails. */
class MainLoop {
 public:
  MainLoop() {
    for (const int signal : {SIGINT, SIGTERM}) g_unix_signal_add(signal, onSignal, this);
  }

  /** Has the main loop call `task` soon; for the threads of GStreamer. */
  static void post(std::function<void()> task) {
    const auto run = [](gpointer data) -> gboolean {
      (*static_cast<std::function<void()>*>(data))();
      return G_SOURCE_REMOVE;
    };
    const auto destroy = [](gpointer data) { delete static_cast<std::function<void()>*>(data); };
    g_idle_add_full(G_PRIORITY_DEFAULT, run, new std::function<void()>(std::move(task)), destroy);
  }

  /** Ends `run` with an error. */
  void fail(const std::string& why) {
    failure_ = why;
    g_main_loop_quit(loop_.get());
  }

  /** Ends `run` well, and says why. */
  void stop(const std::string& why) {
    say(why);
    g_main_loop_quit(loop_.get());
  }

  void run() {
    g_main_loop_run(loop_.get());
    if (!failure_.empty()) throw std::runtime_error(failure_);
  }

 private:
  static gboolean onSignal(gpointer self) {
    g_main_loop_quit(static_cast<MainLoop*>(self)->loop_.get());
    return G_SOURCE_CONTINUE;
  }

  std::unique_ptr<GMainLoop, Release<g_main_loop_unref>> loop_{g_main_loop_new(nullptr, FALSE)};
  std::string failure_;
};

/** A JSON object, read only. */
class Json {
 public:
  static Json parse(const std::string& text) {
    return Json(json_from_string(text.c_str(), nullptr));
  }

  static Json load(const char* path) {
    const Object<JsonParser> parser{json_parser_new()};
    GError* error = nullptr;
    if (!json_parser_load_from_file(parser.get(), path, &error))
      throw std::runtime_error(Error(error)->message);
    return Json(json_parser_steal_root(parser.get()));
  }

  bool has(const char* name) const { return json_object_has_member(object(), name); }

  std::string text(const char* name, const char* otherwise = "") const {
    const char* value = json_object_get_string_member_with_default(object(), name, otherwise);
    return value == nullptr ? otherwise : value;  // null if the member is no string
  }

  gint64 number(const char* name) const {
    return json_object_get_int_member_with_default(object(), name, 0);
  }

  bool isTrue(const char* name, bool otherwise) const {
    return json_object_get_boolean_member_with_default(object(), name, otherwise);
  }

 private:
  explicit Json(JsonNode* root) : root_(root) {
    if (root == nullptr || !JSON_NODE_HOLDS_OBJECT(root))
      throw std::runtime_error("this is not a JSON object");
  }

  JsonObject* object() const { return json_node_get_object(root_.get()); }

  std::unique_ptr<JsonNode, Release<json_node_unref>> root_;
};

/** Members of a message: names and values. */
using Value = std::variant<std::string, gint64, bool>;
using Members = std::initializer_list<std::pair<const char*, Value>>;

std::string toJson(const Members& members) {
  const Object<JsonBuilder> builder{json_builder_new()};
  json_builder_begin_object(builder.get());
  for (const auto& [name, value] : members) {
    json_builder_set_member_name(builder.get(), name);
    if (const auto* text = std::get_if<std::string>(&value)) {
      json_builder_add_string_value(builder.get(), text->c_str());
    } else if (const auto* flag = std::get_if<bool>(&value)) {
      json_builder_add_boolean_value(builder.get(), *flag);
    } else {
      json_builder_add_int_value(builder.get(), std::get<gint64>(value));
    }
  }
  json_builder_end_object(builder.get());
  const std::unique_ptr<JsonNode, Release<json_node_unref>> root{
      json_builder_get_root(builder.get())};
  return Text(json_to_string(root.get(), FALSE)).get();
}

struct Config {
  std::string clientId;
  std::string targetId;
  std::string server;
  bool video;
  /** Use this address of the machine only, such as 127.0.0.1; all of them if it is empty. */
  std::string iceAddress;
};

Config readConfig(const char* path) {
  const Json json = Json::load(path);
  for (const char* name : {"client_id", "target_id"}) {
    if (!json.has(name))
      throw std::runtime_error(std::string(path) + ": \"" + name + "\" is missing");
  }
  return {
      .clientId = json.text("client_id"),
      .targetId = json.text("target_id"),
      .server = json.text("server", "ws://localhost:8765"),
      .video = json.isTrue("video", true),
      .iceAddress = json.text("ice_address"),
  };
}

/** A client of the signaling server, which comes back after a lost connection and resumes. */
class Signaling {
 public:
  using OnMessage = std::function<void(const Json&)>;

  /** `onMessage` gets the messages of other clients, and `registered` each time. */
  Signaling(MainLoop& loop, const Config& config, OnMessage onMessage)
      : loop_(loop),
        clientId_(config.clientId),
        server_(config.server),
        onMessage_(std::move(onMessage)) {
    g_timeout_add(kWatchMs, onWatch, this);
  }

  Signaling(const Signaling&) = delete;

  ~Signaling() {
    drop();
    while (g_source_remove_by_user_data(this)) continue;
  }

  void connect() {
    const Object<SoupMessage> request{soup_message_new(SOUP_METHOD_GET, server_.c_str())};
    if (!request) return loop_.fail("this is not a URL: " + server_);
    aliveAtUs_ = g_get_monotonic_time();
    attempt_.reset(g_cancellable_new());
    soup_session_websocket_connect_async(session_.get(), request.get(), nullptr, nullptr,
                                         G_PRIORITY_DEFAULT, attempt_.get(), onConnected, this);
  }

  /** Gives the ID up, and returns once the server knows, or after a second. */
  void close() {
    if (!isRegistered_) return;
    bool isOver = false;
    const auto end = [](gpointer flag) -> gboolean {
      *static_cast<bool*>(flag) = true;
      return G_SOURCE_REMOVE;
    };
    g_signal_handlers_disconnect_by_data(websocket_.get(), this);
    g_signal_connect_swapped(websocket_.get(), "closed", G_CALLBACK(+end), &isOver);
    soup_websocket_connection_close(websocket_.get(), SOUP_WEBSOCKET_CLOSE_NORMAL, nullptr);
    const guint timer = g_timeout_add_seconds(1, end, &isOver);
    while (!isOver) g_main_context_iteration(nullptr, TRUE);
    g_signal_handlers_disconnect_by_data(websocket_.get(), &isOver);
    if (GSource* source = g_main_context_find_source_by_id(nullptr, timer)) g_source_destroy(source);
  }

  /** Sends now, or once there is a connection again. */
  void send(const Members& members) {
    if (isRegistered_) return transmit(toJson(members));
    if (waiting_.size() >= kMaxWaiting) return say("too much waits: a message was dropped");
    waiting_.push_back(toJson(members));
  }

 private:
  static constexpr guint kWatchMs = 5'000;
  /** Silence after which the connection is dead; there is a sign of life each kWatchMs. */
  static constexpr gint64 kSilenceUs = 20'000'000;
  static constexpr double kFirstDelayMs = 500;
  static constexpr double kMaxDelayMs = 30'000;
  static constexpr std::size_t kMaxWaiting = 64;

  static void onConnected(GObject* session, GAsyncResult* result, gpointer data) {
    GError* error = nullptr;
    Object<SoupWebsocketConnection> websocket{
        soup_session_websocket_connect_finish(SOUP_SESSION(session), result, &error)};
    if (error != nullptr) {
      const Error owner{error};
      if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) return;
      say(std::string("cannot connect: ") + error->message);
      return static_cast<Signaling*>(data)->comeBack(0);
    }
    auto* self = static_cast<Signaling*>(data);
    self->websocket_ = std::move(websocket);
    g_signal_connect(self->websocket_.get(), "message", G_CALLBACK(onText), self);
    g_signal_connect(self->websocket_.get(), "closed", G_CALLBACK(onClosed), self);
    const Value resume = self->secret_.empty() ? Value(true) : Value(self->secret_);
    self->transmit(
        toJson({{"type", "register"}, {"client_id", self->clientId_}, {"resume", resume}}));
  }

  static void onText(SoupWebsocketConnection*, SoupWebsocketDataType, GBytes* bytes,
                      Signaling* self) {
    gsize size = 0;
    const auto* text = static_cast<const char*>(g_bytes_get_data(bytes, &size));
    self->aliveAtUs_ = g_get_monotonic_time();
    const Json message = Json::parse(std::string(text, size));
    // Without `from` it is the server itself that speaks; with it, a client, whatever its type.
    if (message.has("from")) return self->onMessage_(message);
    if (message.text("type") == "error") return self->onError(message);
    if (message.text("type") == "registered") self->onRegistered(message);
  }

  void onRegistered(const Json& message) {
    isRegistered_ = true;
    failures_ = 0;
    secret_ = message.text("resume");
    for (; !waiting_.empty(); waiting_.pop_front()) transmit(waiting_.front());
    onMessage_(message);
  }

  void onError(const Json& message) {
    lastError_ = message.text("message");
    retryAfterMs_ = message.number("retry_after_ms");
    say("error: " + lastError_);
  }

  static void onClosed(SoupWebsocketConnection* websocket, Signaling* self) {
    self->comeBack(soup_websocket_connection_get_close_code(websocket));
  }

  /** Tries again later, unless the server has closed for good. */
  void comeBack(gushort code) {
    drop();
    if (code == 1008 || code == 1009 || code == 4409)
      return loop_.fail("the server has closed the connection: " + lastError_);
    double delayMs = g_random_double_range(0, 1000);
    if (retryAfterMs_ > 0) {
      delayMs = std::min<double>(retryAfterMs_, kMaxDelayMs);
    } else if (code != 1012) {  // after a restart of the server, all come back within a second
      const int doublings = std::min(failures_++, 6);
      delayMs = std::min(kMaxDelayMs, kFirstDelayMs * (1 << doublings));
      delayMs *= g_random_double_range(0.5, 1);
    }
    retryAfterMs_ = 0;
    say("signaling lost");
    g_timeout_add(static_cast<guint>(delayMs), onTimeToConnect, this);
  }

  /** Forgets the connection, if there is one. */
  void drop() {
    isRegistered_ = false;
    if (attempt_) g_cancellable_cancel(attempt_.get());
    if (websocket_) g_signal_handlers_disconnect_by_data(websocket_.get(), this);
    attempt_.reset();
    websocket_.reset();
  }

  static gboolean onTimeToConnect(gpointer self) {
    static_cast<Signaling*>(self)->connect();
    return G_SOURCE_REMOVE;
  }

  /** Sends a message to this client itself: a network that is cut off says nothing. */
  static gboolean onWatch(gpointer data) {
    auto* self = static_cast<Signaling*>(data);
    const bool isSilent = g_get_monotonic_time() - self->aliveAtUs_ > kSilenceUs;
    if (self->attempt_ && isSilent) {
      self->comeBack(0);
    } else if (self->isRegistered_) {
      self->transmit(toJson({{"type", "ping"}, {"target_id", self->clientId_}}));
    }
    return G_SOURCE_CONTINUE;
  }

  void transmit(const std::string& text) {
    const auto state = soup_websocket_connection_get_state(websocket_.get());
    if (state != SOUP_WEBSOCKET_STATE_OPEN) return;  // `closed` follows
    soup_websocket_connection_send_text(websocket_.get(), text.c_str());
  }

  MainLoop& loop_;
  const std::string clientId_;
  const std::string server_;
  const OnMessage onMessage_;
  Object<SoupSession> session_{soup_session_new()};
  /** There from the attempt to connect until the connection is lost. */
  Object<GCancellable> attempt_;
  Object<SoupWebsocketConnection> websocket_;
  std::deque<std::string> waiting_;
  std::string secret_;
  std::string lastError_;
  gint64 retryAfterMs_ = 0;
  gint64 aliveAtUs_ = 0;
  int failures_ = 0;
  bool isRegistered_ = false;
};

constexpr auto kTestVideo =
    "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=30/1 "
    "! vp8enc deadline=1 keyframe-max-dist=30 ! rtpvp8pay "
    "! capsfilter caps=application/x-rtp,media=video,encoding-name=VP8,payload=96";

/** One call: what it has to say goes out by `send`, what the other says comes in by `receive`. */
class Call {
 public:
  using Send = std::function<void(const Members&)>;

  Call(MainLoop& loop, const Config& config, Send send)
      : loop_(loop),
        targetId_(config.targetId),
        greeting_("hello from " + config.clientId),
        send_(std::move(send)) {
    gst_bin_add(GST_BIN(pipeline_.get()), webrtc_);
    g_object_set(webrtc_, "bundle-policy", GST_WEBRTC_BUNDLE_POLICY_MAX_BUNDLE, nullptr);
    watchForErrors();
    stayLocal(config.iceAddress);
    if (config.video) addVideo();
    g_signal_connect(webrtc_, "on-negotiation-needed", G_CALLBACK(onNegotiationNeeded), this);
    g_signal_connect(webrtc_, "on-ice-candidate", G_CALLBACK(onCandidate), this);
    g_signal_connect(webrtc_, "notify::connection-state", G_CALLBACK(onState), nullptr);
  }

  Call(const Call&) = delete;

  ~Call() { gst_element_set_state(pipeline_.get(), GST_STATE_NULL); }

  /** Begins, the first time; the offer follows by itself. */
  void start() {
    if (channel_) return;
    // A data channel needs as much. If it fails, the reason comes over the bus.
    if (gst_element_set_state(pipeline_.get(), GST_STATE_READY) == GST_STATE_CHANGE_FAILURE) return;
    GstWebRTCDataChannel* channel = nullptr;
    g_signal_emit_by_name(webrtc_, "create-data-channel", "chat", nullptr, &channel);
    channel_.reset(channel);
    g_signal_connect(channel, "on-open", G_CALLBACK(onOpen), this);
    g_signal_connect(channel, "on-message-string", G_CALLBACK(onText), nullptr);
    gst_element_set_state(pipeline_.get(), GST_STATE_PLAYING);
  }

  /** Takes a message of the other peer. */
  void receive(const Json& message) {
    const std::string type = message.text("type");
    if (type == "answer") acceptAnswer(message.text("sdp"));
    if (type == "candidate") addCandidate(message);
  }

 private:
  static GstElement* makeWebRtc() {
    GstElement* element = gst_element_factory_make("webrtcbin", "webrtc");
    if (element == nullptr)
      throw std::runtime_error("no webrtcbin: is gstreamer1.0-plugins-bad installed?");
    return element;
  }

  void addVideo() {
    GError* error = nullptr;
    GstElement* video = gst_parse_bin_from_description(kTestVideo, TRUE, &error);
    if (error != nullptr) throw std::runtime_error(Error(error)->message);
    gst_bin_add(GST_BIN(pipeline_.get()), video);
    if (!gst_element_link(video, webrtc_)) throw std::runtime_error("webrtcbin takes no video");
  }

  void watchForErrors() {
    const std::unique_ptr<GstBus, Release<gst_object_unref>> bus{
        gst_element_get_bus(pipeline_.get())};
    gst_bus_add_signal_watch(bus.get());
    g_signal_connect(bus.get(), "message::error", G_CALLBACK(onError), this);
  }

  /** Keeps to this machine's own addresses: no port mapping by UPnP, and only one if so asked. */
  void stayLocal(const std::string& iceAddress) {
    const auto ice = property<GObject>(webrtc_, "ice-agent");
    g_object_set(property<GObject>(ice.get(), "agent").get(), "upnp", FALSE, nullptr);
    if (iceAddress.empty()) return;
    gboolean added = FALSE;
    g_signal_emit_by_name(ice.get(), "add-local-ip-address", iceAddress.c_str(), &added);
    if (!added) throw std::runtime_error("\"ice_address\" is not an address: " + iceAddress);
  }

  static void onNegotiationNeeded(GstElement* webrtc, Call* self) {
    GstPromise* promise = gst_promise_new_with_change_func(onOffer, self, nullptr);
    g_signal_emit_by_name(webrtc, "create-offer", nullptr, promise);
  }

  static void onOffer(GstPromise* promise, gpointer data) {
    auto* self = static_cast<Call*>(data);
    GstWebRTCSessionDescription* offer = nullptr;
    gst_structure_get(gst_promise_get_reply(promise), "offer", GST_TYPE_WEBRTC_SESSION_DESCRIPTION,
                      &offer, nullptr);
    gst_promise_unref(promise);
    if (offer == nullptr)
      return MainLoop::post([self] { self->loop_.fail("webrtcbin makes no offer"); });
    const Description owner{offer};
    // Posted first: as soon as the description is set, candidates follow.
    MainLoop::post([self, sdp = std::string(Text(gst_sdp_message_as_text(offer->sdp)).get()),
                    mids = readMids(offer)] {
      self->mids_ = mids;
      self->send_({{"type", "offer"}, {"sdp", sdp}, {"target_id", self->targetId_}});
    });
    g_signal_emit_by_name(self->webrtc_, "set-local-description", offer, nullptr);
  }

  /** The names of the media, which webrtcbin leaves out of its candidates. */
  static std::vector<std::string> readMids(const GstWebRTCSessionDescription* description) {
    std::vector<std::string> mids;
    for (guint i = 0; i < gst_sdp_message_medias_len(description->sdp); i++) {
      mids.emplace_back(
          gst_sdp_media_get_attribute_val(gst_sdp_message_get_media(description->sdp, i), "mid"));
    }
    return mids;
  }

  static void onCandidate(GstElement*, guint mediaIndex, const char* candidate, Call* self) {
    MainLoop::post([self, mediaIndex, text = std::string(candidate)] {
      self->send_({{"type", "candidate"},
                   {"candidate", text},
                   {"sdpMid", self->mids_.at(mediaIndex)},
                   {"sdpMLineIndex", gint64{mediaIndex}},
                   {"target_id", self->targetId_}});
    });
  }

  void acceptAnswer(const std::string& text) {
    GstSDPMessage* sdp = nullptr;
    if (gst_sdp_message_new_from_text(text.c_str(), &sdp) != GST_SDP_OK)
      return loop_.fail("the answer is not SDP");
    const Description answer{gst_webrtc_session_description_new(GST_WEBRTC_SDP_TYPE_ANSWER, sdp)};
    g_signal_emit_by_name(webrtc_, "set-remote-description", answer.get(), nullptr);
  }

  /** An empty candidate says that there are no more. */
  void addCandidate(const Json& message) {
    const std::string text = message.text("candidate");
    if (text.empty()) return;
    g_signal_emit_by_name(webrtc_, "add-ice-candidate",
                          static_cast<guint>(message.number("sdpMLineIndex")), text.c_str());
  }

  static void onState(GstElement* webrtc, GParamSpec*, gpointer) {
    GstWebRTCPeerConnectionState state;
    g_object_get(webrtc, "connection-state", &state, nullptr);
    const std::unique_ptr<void, Release<g_type_class_unref>> states{
        g_type_class_ref(GST_TYPE_WEBRTC_PEER_CONNECTION_STATE)};
    say(g_enum_get_value(G_ENUM_CLASS(states.get()), state)->value_nick);
  }

  static void onOpen(GstWebRTCDataChannel* channel, Call* self) {
    say("data channel open");
    gst_webrtc_data_channel_send_string(channel, self->greeting_.c_str());
  }

  static void onText(GstWebRTCDataChannel*, const char* text, gpointer) {
    say(std::string("received: ") + text);
  }

  static void onError(GstBus*, GstMessage* message, Call* self) {
    GError* error = nullptr;
    gst_message_parse_error(message, &error, nullptr);
    self->loop_.fail(Error(error)->message);
  }

  MainLoop& loop_;
  const std::string targetId_;
  const std::string greeting_;
  const Send send_;
  std::unique_ptr<GstElement, Release<gst_object_unref>> pipeline_{gst_pipeline_new("call")};
  GstElement* const webrtc_ = makeWebRtc();  // the pipeline owns it
  Object<GstWebRTCDataChannel> channel_;
  std::vector<std::string> mids_;
};

void run(const Config& config) {
  MainLoop loop;
  std::unique_ptr<Call> call;
  Signaling signaling(loop, config, [&](const Json& message) {
    if (!message.has("from")) {
      say("registered: " + config.clientId);
      call->start();
    } else if (message.text("from") == config.targetId) {
      if (message.text("type") == "bye") return loop.stop("ended: " + config.targetId);
      call->receive(message);
    }
  });
  call = std::make_unique<Call>(loop, config,
                                [&](const Members& members) { signaling.send(members); });
  signaling.connect();
  loop.run();
  signaling.send({{"type", "bye"}, {"target_id", config.targetId}});
  signaling.close();
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) throw std::runtime_error("give me a configuration file: sender sender.json");
  gst_init(nullptr, nullptr);
  run(readConfig(argv[1]));
} catch (const std::exception& error) {
  std::cerr << "sender: " << error.what() << std::endl;
  return 1;
}
