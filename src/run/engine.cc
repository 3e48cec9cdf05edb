// One thread steps the scheduler; everybody else leaves requests in an inbox and finds events in
// the mailboxes of their tickets.
#include "aira/engine.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <variant>

#include "base/thread_pool.h"
#include "device/device.h"
#include "model/weight_cache.h"
#include "run/request_options.h"
#include "run/scheduler.h"
#include "run/ticket.h"

namespace aira {
namespace {

/// How long leaving the engine may wait for the cache to be written.
constexpr std::chrono::seconds kCachePatience{5};

}  // namespace

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

  using Request = std::variant<GenerateRequest, ScoreRequest>;
  struct Entry {
    Request request;
    std::shared_ptr<Ticket::State> state;
  };

  std::optional<Ticket> submit(Request request, Listener listener, bool waits);
  void run();
  bool collect();
  void begin(Entry& entry);
  void close_finished();
  static Device device_for(const EngineOptions& options);
  void write_cache();
  Listener mailbox_of(Ticket::State* state) const;
  template <typename Work>
  auto timed(double& seconds, const Work& work);

  EngineOptions options;
  EngineInfo info;
  ThreadPool threads;
  std::future<std::unique_ptr<Backend>> coming;
  GenerationConfig generation;
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
  std::atomic<bool> gives_up_cache{false};
  std::atomic<std::chrono::steady_clock::rep> cache_deadline{0};  // 0: none yet

  std::thread thread;
  std::thread cache_writer;
};

template <typename Work>
auto Engine::Impl::timed(double& seconds, const Work& work_to_do) {
  const auto start = std::chrono::steady_clock::now();
  auto result = work_to_do();
  seconds = seconds_since(start);
  return result;
}

Device Engine::Impl::device_for(const EngineOptions& options) {
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

// In the order in which a bad model is reported soonest: small files first, weights last. A GPU
// wakes up meanwhile.
Engine::Impl::Impl(EngineOptions given)
    : options(std::move(given)),
      threads(options.threads > 0 ? options.threads : ThreadPool::usable_cores()),
      coming(begin_backend(device_for(options), options.dtype, threads, options.notice)),
      generation(read_generation_config(options.files)),
      tokenizer(timed(info.tokenizer_seconds, [&] { return Tokenizer::load(options.files); })),
      backend(coming.get()),
      cache(options.cache_folder, options.files, *backend, options.dtype),
      model(timed(info.weights_seconds, [&] { return cache.load(); })),
      prompts(tokenizer, model.config.eos, generation.eos),
      scheduler(model, tokenizer, *backend, threads, prompts.end_ids(), options.max_sequences) {
  info.backend = backend->description();
  info.cache_file = cache.path();
  info.cached = cache.hit();
  if (!cache.path().empty() && !cache.hit()) cache_writer = std::thread([this] { write_cache(); });
  thread = std::thread([this] { run(); });
}

Engine::Impl::~Impl() {
  {
    const std::lock_guard lock(mutex);
    cancels_all = stopping = true;
  }
  work.notify_all();
  thread.join();
  cache_deadline = (std::chrono::steady_clock::now() + kCachePatience).time_since_epoch().count();
  if (cache_writer.joinable()) cache_writer.join();
}

void Engine::Impl::write_cache() {
  const std::string problem = cache.keep(model, [this] {
    const auto deadline = cache_deadline.load();
    return !gives_up_cache &&
           (deadline == 0 ||
            std::chrono::steady_clock::now().time_since_epoch().count() < deadline);
  });
  if (!problem.empty() && options.notice && !gives_up_cache) {
    options.notice("Converted weights were not kept in " + cache.path() + ": " + problem + ".");
  }
}

std::optional<Ticket> Engine::Impl::submit(Request request, Listener listener, bool waits) {
  std::visit([&](const auto& one) { scheduler.check(one); }, request);
  auto state = std::make_shared<Ticket::State>(std::move(listener));
  {
    std::unique_lock lock(mutex);
    const auto room = [&] {
      return inbox.size() + waiting < static_cast<std::size_t>(options.max_sequences);
    };
    if (!waits && !room()) return std::nullopt;
    change.wait(lock, room);
    inbox.push_back({std::move(request), state});
    busy = true;
  }
  work.notify_all();
  return Ticket(std::move(state));
}

/// A task's listener that leaves everything in the mailbox. The state outlives the task.
Listener Engine::Impl::mailbox_of(Ticket::State* state) const {
  const Listener& to = state->listener;
  Listener box;
  if (to.text) {
    box.text = [state, &to](std::size_t answer, std::string_view piece) {
      state->post([&to, answer, text = std::string(piece)] { to.text(answer, text); });
    };
  }
  if (to.finished) {
    box.finished = [state, &to](std::size_t answer, const Answer& result) {
      state->post([&to, answer, result] { to.finished(answer, result); });
    };
  }
  if (to.scored) {
    box.scored = [state, &to](const Score& score) {
      state->post([&to, score] { to.scored(score); });
    };
  }
  if (to.failed) {
    box.failed = [state, &to](const Error& error) {
      state->post([&to, error] { to.failed(error); });
    };
  }
  return box;
}

void Engine::Impl::begin(Entry& entry) {
  entry.state->task = std::visit(
      [&](auto& request) {
        return scheduler.submit(std::move(request), mailbox_of(entry.state.get()));
      },
      entry.request);
  active.push_back(std::move(entry.state));
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
  for (Entry& entry : entries) begin(entry);
  for (const auto& state : to_cancel) {
    if (state->task) scheduler.cancel(*state->task);
  }
  if (all) scheduler.cancel_all();
  return true;
}

void Engine::Impl::close_finished() {
  for (const auto& state : active) {
    if (!state->task->done()) continue;
    state->task.reset();
    state->close();
  }
  std::erase_if(active, [](const auto& state) { return state->task == nullptr; });
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
const GenerateOptions& Engine::defaults() const { return impl_->generation.options; }
const EngineInfo& Engine::info() const { return impl_->info; }

Ticket Engine::submit(GenerateRequest request, Listener listener) {
  return *impl_->submit(std::move(request), std::move(listener), true);
}
Ticket Engine::submit(ScoreRequest request, Listener listener) {
  return *impl_->submit(std::move(request), std::move(listener), true);
}
std::optional<Ticket> Engine::try_submit(GenerateRequest request, Listener listener) {
  return impl_->submit(std::move(request), std::move(listener), false);
}
std::optional<Ticket> Engine::try_submit(ScoreRequest request, Listener listener) {
  return impl_->submit(std::move(request), std::move(listener), false);
}

void Engine::cancel(const Ticket& ticket) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->cancels.push_back(ticket.state_);
  }
  impl_->work.notify_all();
}

void Engine::cancel_all() {
  impl_->gives_up_cache = true;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->cancels_all = true;
  }
  impl_->work.notify_all();
}

void Engine::drain() {
  std::unique_lock lock(impl_->mutex);
  impl_->change.wait(lock, [&] { return !impl_->busy; });
}

}  // namespace aira
