// SPDX-License-Identifier: BSD-3-Clause
#include "device/sysfs.h"

#include <charconv>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <sys/sysmacros.h>

namespace daxpin::device {
namespace {

namespace fs = std::filesystem;

std::string device_folder(const char *kind, dev_t number) {
    return fmt::format("/sys/dev/{}/{}:{}", kind, ::major(number), ::minor(number));
}

std::optional<std::string> read_line(const std::string &path) {
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line))
        return std::nullopt;
    return line;
}

std::optional<std::int64_t> read_number(const std::string &path) {
    const auto line = read_line(path);
    std::int64_t number = 0;
    if (!line ||
        std::from_chars(line->data(), line->data() + line->size(), number).ec != std::errc{})
        return std::nullopt;
    return number;
}

// The last component of what the link leads to.
std::string link_name(const std::string &path) {
    std::error_code error;
    return fs::read_symlink(path, error).filename().string();
}

} // namespace

std::optional<std::uint64_t> dax_alignment(dev_t number) {
    const std::string folder = device_folder("char", number);
    // Kernels before 5.10 show it at the region only.
    for (const char *name : {"/align", "/device/align"})
        if (const auto align = read_number(folder + name); align && *align > 0)
            return static_cast<std::uint64_t>(*align);
    return std::nullopt;
}

bool is_device_dax(dev_t number) {
    return link_name(device_folder("char", number) + "/subsystem") == "dax";
}

bool is_system_ram(dev_t number) {
    return link_name(device_folder("char", number) + "/driver") == "kmem";
}

int numa_node(dev_t number, bool is_character_device) {
    const std::string folder = device_folder(is_character_device ? "char" : "block", number);
    for (const char *name : {"/numa_node", "/device/numa_node"})
        if (const auto node = read_number(folder + name))
            return static_cast<int>(*node);
    return -1;
}

std::string namespace_name(dev_t block_device) {
    const std::string folder = device_folder("block", block_device) + "/device";
    if (const std::string name = link_name(folder); name.starts_with("namespace"))
        return name;
    // fsdax and sector mode stand between as pfnX.Y, daxX.Y or bttX.Y.
    return read_line(folder + "/namespace").value_or("NAMESPACE");
}

std::vector<std::string> dax_devices() {
    std::vector<std::string> paths;
    std::error_code error;
    for (const auto &entry : fs::directory_iterator("/sys/bus/dax/devices", error))
        paths.push_back("/dev/" + entry.path().filename().string());
    return paths;
}

} // namespace daxpin::device
