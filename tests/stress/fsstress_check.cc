// SPDX-License-Identifier: BSD-3-Clause
//
// What fsstress expects of a tree when nobody is at work in it.
#include "fsstress.h"

#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace stress {
namespace {

struct Links {
    nlink_t told = 0;
    nlink_t found = 0;
    std::string path;
};

[[noreturn]] void fail(const std::string &path, const char *what) {
    throw Violation(format("%s: %s: %s", path.c_str(), what, std::strerror(errno)));
}

// Asks the filesystem, not the kernel's cache: FUSE keeps what a GETATTR said that crossed a
// mkdir or rename in the same directory, for as long as attributes may be cached.
struct statx fresh_attributes(const std::string &path) {
    struct statx info {};
    if (statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS,
              &info) != 0)
        fail(path, "statx");
    return info;
}

struct Entry {
    std::string name;
    unsigned char type;
};

std::vector<Entry> list(const std::string &path) {
    DIR *listing = opendir(path.c_str());
    if (listing == nullptr)
        fail(path, "opendir");
    std::vector<Entry> found;
    std::set<std::string> names;
    errno = 0;
    for (const dirent *entry; (entry = readdir(listing)) != nullptr; errno = 0) {
        if (!names.insert(entry->d_name).second)
            throw Violation(path + ": readdir tells twice of " + entry->d_name);
        if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
            found.push_back({entry->d_name, entry->d_type});
    }
    if (errno != 0)
        fail(path, "readdir");
    closedir(listing);
    return found;
}

void check_data(const std::string &path, const struct statx &info, bool own_data_only) {
    const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        fail(path, "open");
    std::vector<std::uint64_t> words(static_cast<std::size_t>(info.stx_size) / 8 + 1);
    const auto got = pread(descriptor, words.data(), words.size() * 8, 0);
    close(descriptor);
    if (got < 0)
        fail(path, "read");
    if (static_cast<std::uint64_t>(got) != info.stx_size || got % 8 != 0)
        throw Violation(format("%s: size %llu, read %ld", path.c_str(), info.stx_size, got));
    words.pop_back();
    for (const auto word : words)
        if (!is_valid_word(word) || (own_data_only && !names_inode(word, info.stx_ino)))
            throw Violation(format("%s (inode %llu): 0x%016lx does not belong there", path.c_str(),
                                   info.stx_ino, word));
}

class Check {
  public:
    explicit Check(bool own_data_only) : own_data_only_(own_data_only) {}

    // The number of directories in it.
    nlink_t walk(const std::string &folder) {
        nlink_t folders = 0;
        for (const auto &entry : list(folder))
            folders += enter(folder + "/" + entry.name, entry.type) ? 1 : 0;
        return folders;
    }

    [[nodiscard]] std::uint64_t entries() const { return entries_; }

    void check_links() const {
        for (const auto &[inode, links] : links_)
            if (links.told != links.found)
                throw Violation(format("%s: %lu links, %lu names", links.path.c_str(), links.told,
                                       links.found));
    }

  private:
    // True if it is a directory.
    bool enter(const std::string &path, unsigned char type) {
        const auto info = fresh_attributes(path);
        if (type != DT_UNKNOWN && type != IFTODT(static_cast<unsigned>(info.stx_mode)))
            throw Violation(format("%s: type %u in the directory, mode 0%o", path.c_str(), type,
                                   info.stx_mode));
        ++entries_;
        if (S_ISDIR(info.stx_mode)) {
            const auto folders = walk(path);
            if (info.stx_nlink != 1 && info.stx_nlink != 2 + folders)
                throw Violation(format("%s: %u links, %lu directories in it", path.c_str(),
                                       info.stx_nlink, folders));
            return true;
        }
        auto &links = links_[info.stx_ino];
        links = {info.stx_nlink, links.found + 1, path};
        if (S_ISREG(info.stx_mode))
            check_data(path, info, own_data_only_);
        return false;
    }

    bool own_data_only_;
    std::uint64_t entries_ = 0;
    std::map<ino_t, Links> links_;
};

} // namespace

std::uint64_t check_tree(const std::string &path, bool own_data_only) {
    Check check(own_data_only);
    check.walk(path);
    check.check_links();
    return check.entries();
}

void remove_tree(const std::string &path) {
    for (const auto &entry : list(path)) {
        const auto below = path + "/" + entry.name;
        struct stat info {};
        if (lstat(below.c_str(), &info) != 0)
            fail(below, "lstat");
        if (S_ISDIR(info.st_mode))
            remove_tree(below);
        else if (unlink(below.c_str()) != 0)
            fail(below, "unlink");
    }
    if (rmdir(path.c_str()) != 0)
        fail(path, "rmdir");
}

} // namespace stress
