// One thread steps the scheduler; everybody else leaves requests in an inbox and finds events in
// the mailboxes of their tickets.
#include "aira/engine.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <future>
#include <limits>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "base/thread_pool.h"
#include "device/device.h"
#include "model/weight_cache.h"
#include "run/generation_config.h"
#include "run/scheduler.h"

namespace aira {
namespace {

using Clock = std::chrono::steady_clock;

/// How long leaving the engine may wait for the cache to be written. Where that was too short once,
/// it does not wait again: only a process that lives so long tries once more.
constexpr std::chrono::seconds kCachePatience{5};
constexpr std::chrono::seconds kSecondTry{20};

template <typename Work>
auto timed(double& seconds, const Work& work) {
  const auto start = Clock::now();
  auto result = work();
  seconds = seconds_since(start);
  return result;
}

Device device_for(const EngineOptions& options) {
  if (options.device != Device::kAuto || options.expected_answers == 0) return options.device;
  const std::optional<File> weights = options.files.find("model.safetensors");
  if (!weights) return Device::kAuto;  // a model in several files is a large one
  const auto bytes = static_cast<std::int64_t>(weights->size);
  return gpu_is_sooner(bytes, options.expected_answers) ? Device::kAuto : Device::kCpu;
}

}  // namespace

void Ticket::wait() const { task_->run_events(true); }
bool Ticket::poll() const { return task_->run_events(false); }

struct Engine::Impl {
  explicit Impl(EngineOptions given);
  ~Impl();
  void stop();

  std::optional<Ticket> submit(Request request, Listener listener, bool waits);
  void run();
  bool collect();
  void start_cache_writer();
  void write_cache();
  void tell_not_kept(const std::string& problem) const;

  EngineOptions options;
  EngineInfo info;
  ThreadPool threads;
  std::future<std::unique_ptr<Backend>> coming;
  Tokenizer tokenizer;
  std::unique_ptr<Backend> backend;
  WeightCache cache;
  Model model;
  GenerationConfig generation;
  Prompts prompts;
  Scheduler scheduler;

  std::mutex mutex;                // for what follows
  std::condition_variable work;    // for the engine's thread
  std::condition_variable change;  // for submit and drain
  std::vector<std::shared_ptr<Task>> inbox;
  std::vector<std::shared_ptr<Task>> cancels;
  std::size_t waiting = 0;  // requests in the scheduler that have not begun
  bool busy = false;
  bool cancels_all = false;
  bool stopping = false;
  /// 0: the cache is given up, without a word.
  std::atomic<Clock::rep> cache_deadline{std::numeric_limits<Clock::rep>::max()};
  bool cache_is_slow = false;  // it was given up by an earlier process

  std::jthread cache_writer;
  std::jthread thread;
};

// In the order in which a bad model is reported soonest: small files first, weights last. A GPU
// wakes up meanwhile, or, when the system has no thread for that, then.
Engine::Impl::Impl(EngineOptions given)
    : options(std::move(given)),
      threads(options.threads > 0 ? options.threads : ThreadPool::usable_cores()),
      coming(std::async(std::launch::async | std::launch::deferred, make_backend,
                        device_for(options), std::ref(threads), options.notice)),
      tokenizer(timed(info.tokenizer_seconds, [&] { return Tokenizer::load(options.files); })),
      backend(coming.get()),
      cache(options.cache_folder, options.files, *backend, options.dtype),
      model(timed(info.weights_seconds, [&] { return cache.load(options.notice); })),
      generation(read_generation_config(options.files, model.config,
                                        tokenizer.find(kStartMarker).has_value())),
      prompts(tokenizer, model.config.eos, generation.options.eos_token_id, model.config.context),
      scheduler(model, tokenizer, *backend, threads, prompts.end_ids(),
                std::max(options.max_sequences, generation.options.num_beams)) {
  for (const std::string& sentence : generation.notes) {
    if (options.notice) options.notice(sentence);
  }
  info.backend = backend->description();
  info.gpu = backend->gpu();
  info.context = model.config.context;
  info.vocabulary = model.config.vocab;
  info.cache_file = cache.path();
  info.cached = cache.hit();
  if (options.notice && threads.size() < options.threads) {
    options.notice(message("The system allows this program {} of the {} threads asked for.",
                           {std::to_string(threads.size()), std::to_string(options.threads)}));
  }
  thread = new_thread([this] { run(); });
  try {
    if (!cache.path().empty() && !cache.hit()) start_cache_writer();
  } catch (...) {
    stop();
    throw;
  }
}

Engine::Impl::~Impl() { stop(); }

/// The threads end soon, and are waited for when they are destroyed.
void Engine::Impl::stop() {
  const auto patience = cache_is_slow ? std::chrono::seconds(0) : kCachePatience;
  const auto deadline = (Clock::now() + patience).time_since_epoch().count();
  cache_deadline = std::min(cache_deadline.load(), deadline);
  const std::lock_guard lock(mutex);
  cancels_all = stopping = true;
  work.notify_all();
}

void Engine::Impl::start_cache_writer() {
  cache_is_slow = cache.was_given_up();
  try {
    cache_writer = std::jthread([this] { write_cache(); });
  } catch (const std::system_error& error) {
    tell_not_kept(system_message(error.code().value()));
  }
}

void Engine::Impl::write_cache() {
  if (cache_is_slow) {
    std::unique_lock lock(mutex);
    if (work.wait_for(lock, kSecondTry, [this] { return stopping; })) return;
  }
  bool in_time = true;
  const std::string problem = cache.keep(
      model, [&] { return in_time = Clock::now().time_since_epoch().count() < cache_deadline; });
  const bool given_up = !in_time && cache_deadline != 0;
  if (given_up || (!in_time && cache_is_slow)) cache.remember_given_up();
  if (given_up && !cache_is_slow) {
    tell_not_kept(message("that takes too long; only a run of more than {} seconds tries it again",
                          {std::to_string(kSecondTry.count())}));
  } else if (in_time && !problem.empty()) {
    tell_not_kept(problem);
  }
}

void Engine::Impl::tell_not_kept(const std::string& problem) const {
  if (!options.notice) return;
  options.notice(message("Converted weights were not kept in {}: {}.", {cache.path(), problem}));
}

std::optional<Ticket> Engine::Impl::submit(Request request, Listener listener, bool waits) {
  std::shared_ptr<Task> task = scheduler.make_task(std::move(request), std::move(listener));
  std::unique_lock lock(mutex);
  const auto room = [&] {
    const std::int64_t most = options.max_waiting > 0 ? options.max_waiting : options.max_sequences;
    return inbox.size() + waiting < static_cast<std::size_t>(most);
  };
  if (!waits && !room()) return std::nullopt;
  change.wait(lock, room);
  inbox.push_back(task);
  busy = true;
  work.notify_all();
  return Ticket(std::move(task));
}

/// Takes what others have left, waiting for it when there is nothing to compute. False at the end.
bool Engine::Impl::collect() {
  std::vector<std::shared_ptr<Task>> to_submit;
  std::vector<std::shared_ptr<Task>> to_cancel;
  bool all = false;
  {
    std::unique_lock lock(mutex);
    waiting = scheduler.waiting();
    busy = !inbox.empty() || !scheduler.idle();
    change.notify_all();
    work.wait(lock, [&] {
      return !inbox.empty() || !cancels.empty() || cancels_all || stopping || !scheduler.idle();
    });
    to_submit.swap(inbox);
    to_cancel.swap(cancels);
    all = std::exchange(cancels_all, false);
    if (stopping && to_submit.empty() && scheduler.idle()) return false;
    waiting += to_submit.size();
  }
  for (auto& task : to_submit) scheduler.submit(std::move(task));
  for (const auto& task : to_cancel) scheduler.cancel(*task);
  if (all) scheduler.cancel_all();
  return true;
}

void Engine::Impl::run() {
  for (bool goes_on = true; goes_on;) {
    try {
      goes_on = collect();
      if (goes_on) scheduler.step();
    } catch (const Error& problem) {
      scheduler.fail_all(problem);
    } catch (const std::bad_alloc&) {  // for the bookkeeping
      scheduler.fail_all_for_memory();
    } catch (const std::exception& problem) {
      scheduler.fail_all(Error("[E033] The engine failed: {}.", {problem.what()}));
    }
  }
}

Engine::Engine(EngineOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Engine::~Engine() = default;

const Tokenizer& Engine::tokenizer() const { return impl_->tokenizer; }
const Prompts& Engine::prompts() const { return impl_->prompts; }
const GenerateOptions& Engine::defaults() const { return impl_->generation.options; }
const EngineInfo& Engine::info() const { return impl_->info; }

Ticket Engine::submit(Request request, Listener listener) {
  return *impl_->submit(std::move(request), std::move(listener), true);
}

std::optional<Ticket> Engine::try_submit(Request request, Listener listener) {
  return impl_->submit(std::move(request), std::move(listener), false);
}

void Engine::cancel(const Ticket& ticket) {
  const std::lock_guard lock(impl_->mutex);
  impl_->cancels.push_back(ticket.task_);
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
