// SPDX-License-Identifier: BSD-3-Clause
#include "client/smaps.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <sstream>
#include <sys/sysmacros.h>

namespace daxpin::client {

namespace {

constexpr std::uint64_t huge_page = std::uint64_t{2} << 20;

// The kernel writes a newline in a name as \012, and nothing else so.
std::string unescaped(std::string path) {
    for (auto at = path.find("\\012"); at != std::string::npos; at = path.find("\\012", at + 1))
        path.replace(at, 4, 1, '\n');
    return path;
}

bool parse_head(const std::string &line, Vma &vma) {
    unsigned device_major = 0, device_minor = 0;
    std::array<char, 5> rights{};
    std::uint64_t inode = 0;
    int path_at = 0;
    // NOLINTNEXTLINE(cert-err34-c): the kernel's own format; a line that does not match is skipped
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n",
                    &vma.start, &vma.end, rights.data(), &vma.offset, &device_major, &device_minor,
                    &inode, &path_at) != 7)
        return false;
    vma.readable = rights[0] == 'r';
    vma.writable = rights[1] == 'w';
    vma.shared = rights[3] == 's';
    vma.device = makedev(device_major, device_minor);
    vma.inode = inode;
    vma.path = unescaped(line.substr(std::min<std::size_t>(path_at, line.size())));
    return true;
}

void parse_field(const std::string &line, Vma &vma) {
    std::istringstream words(line);
    std::string name, word;
    words >> name;
    if (name == "VmFlags:") {
        while (words >> word)
            vma.synchronous = vma.synchronous || word == "sf";
        return;
    }
    std::uint64_t kib = 0;
    words >> kib;
    if (name == "KernelPageSize:" || name == "MMUPageSize:")
        vma.page_size = std::max(vma.page_size, kib * 1024);
    // A mapping by small pages may have parts that are mapped by large ones.
    else if (name == "AnonHugePages:" || name == "ShmemPmdMapped:" || name == "FilePmdMapped:")
        vma.page_size = std::max(vma.page_size, kib > 0 ? huge_page : 0);
}

} // namespace

std::vector<Vma> parse_smaps(std::istream &text) {
    std::vector<Vma> vmas;
    for (std::string line; std::getline(text, line);) {
        if (Vma vma; parse_head(line, vma))
            vmas.push_back(std::move(vma));
        else if (!vmas.empty())
            parse_field(line, vmas.back());
    }
    return vmas;
}

} // namespace daxpin::client
