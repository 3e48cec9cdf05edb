// One thread steps the scheduler; everybody else leaves requests in an inbox and finds events in
// the mailboxes of their tickets.
#include "aira/engine.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>
#include <tuple>
#include <utility>

#include "base/thread_pool.h"
#include "device/device.h"
#include "model/weight_cache.h"
#include "run/request_options.h"
#include "run/scheduler.h"

namespace aira {
namespace {

using Clock = std::chrono::steady_clock;

/// How long leaving the engine may wait for the cache to be written.
constexpr std::chrono::seconds kCachePatience{5};

std::string owned(std::string_view text) { return std::string(text); }
template <typename Value>
const Value& owned(const Value& value) {
  return value;
}

template <typename Work>
auto timed(double& seconds, const Work& work) {
  const auto start = Clock::now();
  auto result = work();
  seconds = seconds_since(start);
  return result;
}

Device device_for(const EngineOptions& options) {
  if (options.device != Device::kAuto || options.expected_answers == 0) return options.device;
  try {
    const std::optional<File> weights = options.files.find("model.safetensors");
    // A model in several files is a large one.
    if (!weights) return Device::kAuto;
    const auto bytes = static_cast<std::int64_t>(weights->size);
    return gpu_is_sooner(bytes, options.expected_answers) ? Device::kAuto : Device::kCpu;
  } catch (const Error&) {
    return Device::kCpu;  // loading will say what is wrong
  }
}

}  // namespace

/// A request's mailbox: events go in on the engine's thread and run on the listener's.
struct Ticket::State {
  explicit State(Listener given) : listener(std::move(given)) {}

  const Listener listener;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> events;
  bool over = false;
  // The engine's thread alone touches this.
  std::shared_ptr<Task> task;

  /// A callback that leaves its arguments for `to` in the mailbox; null if `to` is.
  template <typename... Arguments>
  std::function<void(Arguments...)> leaves_for(const std::function<void(Arguments...)>& to) {
    if (!to) return {};
    return [this, &to](Arguments... arguments) {
      const std::lock_guard lock(mutex);
      events.push_back(
          [&to, kept = std::make_tuple(owned(arguments)...)] { std::apply(to, kept); });
      changed.notify_all();
    };
  }
  /// A task's listener that leaves everything in the mailbox. The state outlives the task.
  Listener mailbox() {
    return {leaves_for(listener.text), leaves_for(listener.finished), leaves_for(listener.scored),
            leaves_for(listener.failed)};
  }
  void close() {
    const std::lock_guard lock(mutex);
    over = true;
    changed.notify_all();
  }
  /// Runs the next event, if need be after waiting for it; false when there is none (yet).
  bool run_next(bool waits) {
    std::function<void()> event;
    {
      std::unique_lock lock(mutex);
      if (waits) changed.wait(lock, [&] { return over || !events.empty(); });
      if (events.empty()) return false;
      event = std::move(events.front());
      events.pop_front();
    }
    event();
    return true;
  }
};

void Ticket::wait() const {
  while (state_->run_next(true)) {
  }
}

bool Ticket::poll() const {
  while (state_->run_next(false)) {
  }
  const std::lock_guard lock(state_->mutex);
  return state_->over && state_->events.empty();
}

struct Engine::Impl {
  explicit Impl(EngineOptions given);
  ~Impl();

  struct Entry {
    Request request;
    std::shared_ptr<Ticket::State> state;
  };

  std::optional<Ticket> submit(Request request, Listener listener, bool waits);
  void run();
  bool collect();
  void close_finished();
  void write_cache();

  EngineOptions options;
  EngineInfo info;
  ThreadPool threads;
  std::future<std::unique_ptr<Backend>> coming;
  GenerationConfig generation;
  GenerateOptions defaults;
  Tokenizer tokenizer;
  std::unique_ptr<Backend> backend;
  WeightCache cache;
  Model model;
  Prompts prompts;
  Scheduler scheduler;
  std::vector<std::shared_ptr<Ticket::State>> active;  // of the engine's thread alone

  std::mutex mutex;                // for what follows
  std::condition_variable work;    // for the engine's thread
  std::condition_variable change;  // for submit and drain
  std::deque<Entry> inbox;
  std::vector<std::shared_ptr<Ticket::State>> cancels;
  std::size_t waiting = 0;  // requests in the scheduler that have not begun
  bool busy = false;
  bool cancels_all = false;
  bool stopping = false;
  /// 0: the cache is given up, without a word.
  std::atomic<Clock::rep> cache_deadline{std::numeric_limits<Clock::rep>::max()};

  std::jthread cache_writer;
  std::jthread thread;
};

// In the order in which a bad model is reported soonest: small files first, weights last. A GPU
// wakes up meanwhile.
Engine::Impl::Impl(EngineOptions given)
    : options(std::move(given)),
      threads(options.threads > 0 ? options.threads : ThreadPool::usable_cores()),
      coming(begin_backend(device_for(options), options.dtype, threads, options.notice)),
      generation(read_generation_config(options.files)),
      defaults(default_options(generation)),
      tokenizer(timed(info.tokenizer_seconds, [&] { return Tokenizer::load(options.files); })),
      backend(coming.get()),
      cache(options.cache_folder, options.files, *backend, options.dtype),
      model(timed(info.weights_seconds, [&] { return cache.load(); })),
      prompts(tokenizer, model.config.eos, generation.eos),
      scheduler(model, tokenizer, *backend, threads, prompts.end_ids(), options.max_sequences) {
  info.backend = backend->description();
  info.cache_file = cache.path();
  info.cached = cache.hit();
  if (!cache.path().empty() && !cache.hit()) cache_writer = std::jthread([this] { write_cache(); });
  thread = std::jthread([this] { run(); });
}

Engine::Impl::~Impl() {
  const auto deadline = (Clock::now() + kCachePatience).time_since_epoch().count();
  cache_deadline = std::min(cache_deadline.load(), deadline);
  const std::lock_guard lock(mutex);
  cancels_all = stopping = true;
  work.notify_all();
}

void Engine::Impl::write_cache() {
  const std::string problem = cache.keep(
      model, [this] { return Clock::now().time_since_epoch().count() < cache_deadline; });
  if (!problem.empty() && options.notice && cache_deadline != 0) {
    options.notice("Converted weights were not kept in " + cache.path() + ": " + problem + ".");
  }
}

std::optional<Ticket> Engine::Impl::submit(Request request, Listener listener, bool waits) {
  scheduler.check(request);
  auto state = std::make_shared<Ticket::State>(std::move(listener));
  std::unique_lock lock(mutex);
  const auto room = [&] {
    return inbox.size() + waiting < static_cast<std::size_t>(options.max_sequences);
  };
  if (!waits && !room()) return std::nullopt;
  change.wait(lock, room);
  inbox.push_back({std::move(request), state});
  busy = true;
  work.notify_all();
  return Ticket(std::move(state));
}

/// Takes what others have left, waiting for it when there is nothing to compute. False at the end.
bool Engine::Impl::collect() {
  std::deque<Entry> entries;
  std::vector<std::shared_ptr<Ticket::State>> to_cancel;
  bool all = false;
  {
    std::unique_lock lock(mutex);
    waiting = scheduler.waiting();
    busy = !inbox.empty() || !active.empty();
    change.notify_all();
    work.wait(lock, [&] {
      return !inbox.empty() || !cancels.empty() || cancels_all || stopping || !scheduler.idle();
    });
    entries.swap(inbox);
    to_cancel.swap(cancels);
    all = std::exchange(cancels_all, false);
    if (stopping && entries.empty() && scheduler.idle()) return false;
    waiting += entries.size();
  }
  for (auto& [request, state] : entries) {
    state->task = scheduler.submit(std::move(request), state->mailbox());
    active.push_back(std::move(state));
  }
  for (const auto& state : to_cancel) {
    if (state->task) scheduler.cancel(*state->task);
  }
  if (all) scheduler.cancel_all();
  return true;
}

void Engine::Impl::close_finished() {
  std::erase_if(active, [](const auto& state) {
    if (!state->task->done()) return false;
    state->task.reset();
    state->close();
    return true;
  });
}

void Engine::Impl::run() {
  while (collect()) {
    try {
      scheduler.step();
    } catch (const std::exception& problem) {  // no memory for the bookkeeping, say
      scheduler.fail_all(Error(std::string("The engine failed: ") + problem.what() + "."));
    }
    close_finished();
  }
}

Engine::Engine(EngineOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Engine::~Engine() = default;

const Tokenizer& Engine::tokenizer() const { return impl_->tokenizer; }
const Prompts& Engine::prompts() const { return impl_->prompts; }
const GenerateOptions& Engine::defaults() const { return impl_->defaults; }
const EngineInfo& Engine::info() const { return impl_->info; }

Ticket Engine::submit(Request request, Listener listener) {
  return *impl_->submit(std::move(request), std::move(listener), true);
}

std::optional<Ticket> Engine::try_submit(Request request, Listener listener) {
  return impl_->submit(std::move(request), std::move(listener), false);
}

void Engine::cancel(const Ticket& ticket) {
  const std::lock_guard lock(impl_->mutex);
  impl_->cancels.push_back(ticket.state_);
  impl_->work.notify_all();
}

void Engine::cancel_all() {
  impl_->cache_deadline = 0;
  const std::lock_guard lock(impl_->mutex);
  impl_->cancels_all = true;
  impl_->work.notify_all();
}

void Engine::drain() {
  std::unique_lock lock(impl_->mutex);
  impl_->change.wait(lock, [&] { return !impl_->busy; });
}

}  // namespace aira
