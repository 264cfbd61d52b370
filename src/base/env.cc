// SPDX-License-Identifier: BSD-3-Clause
#include "base/env.h"

#include "base/assert.h"
#include "base/unique_fd.h"
#include "base/uuid.h"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <string_view>
#include <sys/random.h>
#include <unistd.h>

namespace daxpin {
namespace {

// The boot id never changes while the process lives. A machine that cannot tell it (no /proc)
// must not run: with a made-up one, blocks that a client of this boot still maps could be reused.
BootId read_boot_id() {
    char text[36] = {};
    const UniqueFd fd(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
    const bool boot_id_is_readable = fd && ::read(fd.get(), text, sizeof(text)) == sizeof(text);
    DAXPIN_ASSERT(boot_id_is_readable);
    const auto uuid = parse_uuid(std::string_view(text, sizeof(text)));
    DAXPIN_ASSERT(uuid.has_value());
    return *uuid;
}

std::int64_t read_clock_ns(clockid_t clock) {
    timespec now;
    ::clock_gettime(clock, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

class SystemEnv final : public Env {
  public:
    std::int64_t now_ns() override { return read_clock_ns(CLOCK_REALTIME); }

    std::int64_t since_boot_ns() override { return read_clock_ns(CLOCK_BOOTTIME); }

    void random(std::span<std::byte> out) override {
        while (!out.empty()) {
            const ssize_t got = ::getrandom(out.data(), out.size(), 0);
            DAXPIN_ASSERT(got > 0 || errno == EINTR);
            if (got > 0)
                out = out.subspan(static_cast<std::size_t>(got));
        }
    }

    BootId boot_id() override {
        static const BootId id = read_boot_id();
        return id;
    }
};

} // namespace

std::uint64_t Env::random64() {
    std::uint64_t value = 0;
    random(std::as_writable_bytes(std::span(&value, 1)));
    return value;
}

Env &system_env() {
    static SystemEnv env;
    return env;
}

} // namespace daxpin
