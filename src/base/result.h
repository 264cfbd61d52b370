// SPDX-License-Identifier: BSD-3-Clause
//
// Result<T>: what every fallible function returns. Operating errors travel as Results,
// bugs are assertions (base/assert.h); no exception crosses a layer.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace daxpin {

// Every way an operation can fail. to_errno() maps each to the errno a client sees.
enum class Errc {
    not_found,      // ENOENT
    exists,         // EEXIST
    not_directory,  // ENOTDIR
    is_directory,   // EISDIR
    not_empty,      // ENOTEMPTY
    name_too_long,  // ENAMETOOLONG
    no_space,       // ENOSPC
    quota,          // EDQUOT
    file_too_big,   // EFBIG
    too_many_links, // EMLINK
    too_big,        // E2BIG
    range,          // ERANGE: the buffer is too small for the value
    no_attribute,   // ENODATA
    no_data,        // ENXIO: SEEK_DATA / SEEK_HOLE beyond the last data
    invalid,        // EINVAL
    not_permitted,  // EPERM
    access,         // EACCES
    bad_handle,     // EBADF
    busy,           // EBUSY
    pinned,         // ETXTBSY: a pin or a write lease forbids the change
    no_lease,       // ENOLCK
    stale,          // ESTALE
    cross_device,   // EXDEV
    read_only,      // EROFS
    unsupported,    // EOPNOTSUPP
    not_a_tty,      // ENOTTY: unknown ioctl
    overflow,       // EOVERFLOW
    io,             // EIO: the device failed
    corrupt,        // EIO (EUCLEAN in tools): a checksum or an invariant does not hold
    out_of_memory,  // ENOMEM
    interrupted,    // EINTR
    missing,        // ENODEV: a device of the volume was not found
    retry,          // internal: a unit lock was contended; the transaction starts again
};

int to_errno(Errc code) noexcept;
const char *to_string(Errc code) noexcept;

// The errno of a failed system call as an Errc; unknown values become Errc::io.
Errc from_errno(int number) noexcept;

// What went wrong; `text` is empty where the code says it all, else one line for a person
// that names the thing and the remedy.
struct Error {
    Errc code;
    std::string text = {};
    int number = 0; // the errno of a system call that is to be told as it is; 0: the code's
};

int to_errno(const Error &error) noexcept;

// The one line to print: text, or the code's description.
std::string describe(const Error &error);

template <typename T> class [[nodiscard]] Result : public tl::expected<T, Error> {
  public:
    using tl::expected<T, Error>::expected;
    Result(Errc code) : tl::expected<T, Error>(tl::unexpect, Error{code, {}}) {}
    Result(Error error) : tl::expected<T, Error>(tl::unexpect, std::move(error)) {}
    Errc code() const { return this->error().code; }
};

template <> class [[nodiscard]] Result<void> : public tl::expected<void, Error> {
  public:
    using tl::expected<void, Error>::expected;
    Result(Errc code) : tl::expected<void, Error>(tl::unexpect, Error{code, {}}) {}
    Result(Error error) : tl::expected<void, Error>(tl::unexpect, std::move(error)) {}
    Errc code() const { return this->error().code; }
};

} // namespace daxpin

#define DAXPIN_CONCAT_(a, b) a##b
#define DAXPIN_CONCAT(a, b) DAXPIN_CONCAT_(a, b)

// Returns the error of a failed Result from the enclosing function. Nothing is copied but an error:
// a copy may run out of memory. The counter keeps one inside a lambda inside another from
// shadowing it.
#define DAXPIN_TRY(expression) DAXPIN_TRY_(DAXPIN_CONCAT(daxpin_try_, __COUNTER__), expression)
#define DAXPIN_TRY_(name, expression)                                                              \
    do {                                                                                           \
        if (auto &&name = (expression); !name) [[unlikely]]                                        \
            return std::forward<decltype(name)>(name).error();                                     \
    } while (false)

// Declares or assigns `target` from a Result<T>; returns its error from the enclosing function.
#define DAXPIN_TRY_ASSIGN(target, expression)                                                      \
    DAXPIN_TRY_ASSIGN_(DAXPIN_CONCAT(daxpin_result_, __LINE__), target, expression)
#define DAXPIN_TRY_ASSIGN_(name, target, expression)                                               \
    auto &&name = (expression);                                                                    \
    if (!name) [[unlikely]]                                                                        \
        return std::forward<decltype(name)>(name).error();                                         \
    target = *std::forward<decltype(name)>(name)
