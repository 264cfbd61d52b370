// SPDX-License-Identifier: BSD-3-Clause
// A program of somebody else's, built against the installed library.
#include <daxpin/daxpin.hpp>

#include <cerrno>
#include <cstring>

namespace {

template <typename Body> int errno_of(Body body) {
    try {
        body();
    } catch (const std::system_error &error) {
        return std::strlen(error.what()) > 0 ? error.code().value() : -1;
    }
    return 0;
}

} // namespace

int main() {
    daxpin::Map empty;
    daxpin::Map moved = std::move(empty);
    if (moved || errno_of([] { daxpin::Map map(-1); }) != EBADF)
        return 1;
    if (errno_of([] { daxpin::pin(-1); }) != EBADF || errno_of([] { daxpin::unpin(-1); }) != EBADF)
        return 2;
    if (errno_of([] { daxpin::extend(-1, 1); }) != EBADF ||
        errno_of([] { daxpin::status(-1); }) != EBADF)
        return 3;
    const auto infos = daxpin::query(nullptr, SIZE_MAX);
    if (infos.size() < 5 || infos.back().address <= infos.front().address)
        return 4;
    return 0;
}
