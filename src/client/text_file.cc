// SPDX-License-Identifier: BSD-3-Clause
#include "client/text_file.h"

#include "base/unique_fd.h"
#include "client/error.h"

#include <fcntl.h>
#include <unistd.h>
#include <vector>

namespace daxpin::client {

namespace {

constexpr std::size_t piece_bytes = std::size_t{64} << 10;

} // namespace

Result<std::string> read_text(const std::string &path) {
    const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file)
        return system_error("cannot open " + path);
    std::string text;
    std::vector<char> piece(piece_bytes);
    for (;;) {
        const auto count = read(file.get(), piece.data(), piece.size());
        if (count < 0)
            return system_error("cannot read " + path);
        if (count == 0)
            return text;
        text.append(piece.data(), static_cast<std::size_t>(count));
    }
}

} // namespace daxpin::client
