// SPDX-License-Identifier: BSD-3-Clause
#include "mounts.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <unistd.h>

namespace daxpin::bench {

void die(const std::string &what) {
    fmt::print(stderr, "{}: {}: {}\n", program_invocation_short_name, what, std::strerror(errno));
    std::exit(1);
}

int check(int result, const std::string &what) {
    if (result < 0)
        die(what);
    return result;
}

std::vector<NamedFolder> parse_folders(const std::vector<std::string> &words) {
    std::vector<NamedFolder> folders;
    for (const std::string &word : words) {
        const auto at = word.find('=');
        if (at == std::string::npos) {
            fmt::print(stderr, "{}: {}: not NAME=FOLDER\n", program_invocation_short_name, word);
            std::exit(2);
        }
        folders.push_back({word.substr(0, at), word.substr(at + 1)});
    }
    return folders;
}

OwnFolder::OwnFolder(const std::string &parent) : path_(parent + "/bench-XXXXXX") { // for mkdtemp()
    if (::mkdtemp(path_.data()) == nullptr)
        die(path_);
    fd_ = check(::open(path_.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC), path_);
}

OwnFolder::~OwnFolder() {
    ::close(fd_);
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

} // namespace daxpin::bench
