// SPDX-License-Identifier: BSD-3-Clause
//
// faults-no-memory: every operation of the crash suite's workloads, with its n-th allocation
// failing, for n = 1, 2, ... until it succeeds (shortage.h); then the same of the unmount and of
// the mount after it. Everything allocated must be freed at the end.
//
// On a simulated device, on two of them, and on a file whose pages are written back by msync.
#include "base/assert.h"
#include "base/unique_fd.h"
#include "device/open.h"
#include "faults/shortage.h"
#include "journal/units.h"
#include "volume/format.h"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <new>
#include <unistd.h>

namespace {

// Of all threads; there is one.
bool armed = false;
std::uint64_t left = 0; // allocations that succeed
std::int64_t live = 0;

void *allocate(std::size_t size, std::size_t align) {
    if (armed && left-- == 0) {
        armed = false; // what follows, such as a log message, has memory
        return nullptr;
    }
    void *memory = align > alignof(std::max_align_t)
                       ? std::aligned_alloc(align, (size + align - 1) / align * align)
                       : std::malloc(size == 0 ? 1 : size);
    live += memory != nullptr ? 1 : 0;
    return memory;
}

void *allocate_or_throw(std::size_t size, std::size_t align = 1) {
    void *memory = allocate(size, align);
    if (memory == nullptr)
        throw std::bad_alloc();
    return memory;
}

void release(void *memory) {
    live -= memory != nullptr ? 1 : 0;
    std::free(memory);
}

} // namespace

void *operator new(std::size_t size) {
    return allocate_or_throw(size);
}
void *operator new(std::size_t size, std::align_val_t align) {
    return allocate_or_throw(size, static_cast<std::size_t>(align));
}
void *operator new(std::size_t size, const std::nothrow_t &) noexcept {
    return allocate(size, 1);
}
void operator delete(void *memory) noexcept {
    release(memory);
}
void operator delete(void *memory, std::size_t) noexcept {
    release(memory);
}
void operator delete(void *memory, std::align_val_t) noexcept {
    release(memory);
}
void operator delete(void *memory, std::size_t, std::align_val_t) noexcept {
    release(memory);
}

namespace {

using namespace daxpin;
using namespace daxpin::faults;
using crash::Op;
using crash::Operation;

constexpr std::uint64_t device_bytes = std::uint64_t{1} << 20;

// A file in memory, used as one whose filesystem has no DAX.
class FileGround final : public Ground {
  public:
    explicit FileGround(Env &env)
        : path_("/dev/shm/daxpin-no-memory-" + std::to_string(::getpid())) {
        ::unlink(path_.c_str()); // left by one of that number that died
        const UniqueFd fd(::open(path_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
        DAXPIN_ASSERT(fd && ::ftruncate(fd.get(), device_bytes) == 0);
        auto devices = open();
        volume::FormatOptions options;
        options.journal_bytes = format::ring_bytes_min;
        DAXPIN_ASSERT(volume::format_volume(devices, options, env).has_value());
    }
    ~FileGround() override { ::unlink(path_.c_str()); }
    device::DeviceTable open() const override {
        std::vector<std::unique_ptr<device::Device>> devices;
        device::OpenOptions options;
        options.exclusive = false;
        options.domain = device::Domain::page;
        auto opened = device::open_device(path_, options);
        DAXPIN_ASSERT(opened.has_value());
        devices.push_back(std::move(*opened));
        return device::DeviceTable(std::move(devices));
    }

  private:
    const std::string path_;
};

enum class Where { one_device, two_devices, file };

std::unique_ptr<Ground> make_ground(Where where, Env &env) {
    if (where == Where::file)
        return std::make_unique<FileGround>(env);
    const unsigned data_devices = where == Where::two_devices ? 1 : 0;
    return std::make_unique<SimulatedGround>(test::VolumeShape{.device_bytes = device_bytes,
                                                               .data_devices = data_devices,
                                                               .data_bytes = device_bytes},
                                             env);
}

class NoMemory final : public Shortage {
  public:
    NoMemory(Where where, const std::string &about, const crash::Workload &workload, Counts &counts)
        : Shortage(about, workload, counts), ground_(make_ground(where, env())) {}

  protected:
    const Ground &ground() const override { return *ground_; }
    void leave(std::uint64_t pieces) override { allowed_ = pieces; }

    std::optional<Outcome> attempt(const Operation &operation, const crash::Dump &) override {
        return with_little([&] { return executor().run(operation); });
    }

    // These go step by step, and finished steps stay (docs/ARCHITECTURE.md, P3).
    bool may_have_changed(const Operation &operation) const override {
        const Op op = operation.op;
        return op == Op::write || op == Op::append || op == Op::copy || op == Op::fallocate ||
               op == Op::mapped_write || op == Op::pin || op == Op::extend ||
               op == Op::background || op == Op::lease || op == Op::open_truncate;
    }

    // Unmounting cannot fail, and what it did not get done is done by the next mount.
    void finish() override {
        for (std::uint64_t n = 0;; ++n) {
            static_cast<void>(
                executor().run(crash::chmod("", 0755))); // there is a record to go home
            const crash::Dump expected = dump("before the unmount");
            leave(n);
            static_cast<void>(with_little([&]() -> Outcome {
                unmount();
                return 0;
            }));
            const bool enough = !ran_out_;
            const std::string when = "unmounted, " + std::to_string(n) + " left";
            check_media(when);
            mount_with_little();
            const auto changed = crash::difference(dump(when), expected);
            if (!changed.empty())
                return wrong(when, "mounted again: " + changed);
            if (enough)
                return;
        }
    }

  private:
    template <typename Body> std::optional<Outcome> with_little(Body body) {
        journal::drop_unit_buffers(); // or none would be asked for
        left = allowed_;
        armed = true;
        std::optional<Outcome> outcome;
        try {
            outcome.emplace(body());
        } catch (const std::bad_alloc &) { // as the daemon does: fusefs/request.h
        }
        ran_out_ = !armed;
        armed = false;
        if (outcome && !*outcome && outcome->code() == Errc::out_of_memory)
            outcome.reset();
        return outcome;
    }

    void mount_with_little() {
        for (std::uint64_t n = 0;; ++n) {
            auto devices = ground().open();
            leave(n);
            std::unique_ptr<volume::Volume> opened;
            const auto outcome = with_little([&]() -> Outcome {
                DAXPIN_TRY_ASSIGN(opened,
                                  volume::Volume::open(std::move(devices), env(), options()));
                return 0;
            });
            if (!outcome)
                continue;
            if (!*outcome)
                wrong("mount", daxpin::describe(outcome->error()));
            opened.reset();
            mount();
            return;
        }
    }

    const std::unique_ptr<Ground> ground_;
    std::uint64_t allowed_ = 0;
    bool ran_out_ = false;
};

} // namespace

int main(int argc, char **argv) {
    name_what_dies();
    Counts counts;
    std::uint64_t workloads_run = 0;
    const std::pair<Where, std::string> places[] = {{Where::one_device, ""},
                                                    {Where::two_devices, " on two devices"},
                                                    {Where::file, " on a file"}};
    for (const crash::Workload &workload : crash::workloads()) {
        if (workload.name == crash::format_workload || (argc > 1 && workload.name != argv[1]))
            continue;
        for (const auto &[where, suffix] : places) {
            journal::drop_unit_buffers();
            const std::int64_t live_before = live;
            NoMemory(where, workload.name + suffix, workload, counts).run();
            journal::drop_unit_buffers();
            if (live > live_before + 1) { // a table of the library is kept
                ++counts.wrong;
                std::printf("FAILED %s: %lld allocations were not freed\n", workload.name.c_str(),
                            static_cast<long long>(live - live_before));
            }
        }
        ++workloads_run;
    }
    return print_counts(counts, workloads_run, "failed allocations");
}
