// SPDX-License-Identifier: BSD-3-Clause
//
// What fsstress does with the data of regular files. Whole words only, see fsstress.h.
#include "fsstress.h"

#include <algorithm>
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace stress {
namespace {

constexpr std::uint64_t word_size = sizeof(std::uint64_t);

sigjmp_buf fault_exit;

// A file may shrink under its mapping; that is the one fault that is expected.
void on_fault(int) {
    siglongjmp(fault_exit, 1);
}

bool guarded_copy(std::uint64_t *to, const std::uint64_t *from, std::uint64_t count) {
    const auto before = signal(SIGBUS, on_fault);
    const bool good = sigsetjmp(fault_exit, 1) == 0;
    for (std::uint64_t i = 0; good && i < count; ++i)
        *const_cast<volatile std::uint64_t *>(to + i) =
            *const_cast<const volatile std::uint64_t *>(from + i);
    signal(SIGBUS, before);
    return good;
}

} // namespace

std::uint64_t Actor::aligned_offset() {
    const auto offset = random_.below(file_size_max / word_size) * word_size;
    return random_.one_in(3) ? offset / 4096 * 4096 : offset;
}

// Fits behind any offset in a file of twice the largest size.
std::uint64_t Actor::aligned_length() {
    return random_.length(file_size_max / word_size / 2) * word_size;
}

// A held file, or one opened by a name; EISDIR and the like are refusals here, not failures.
int Actor::open_regular(File &file, int flags) {
    if (random_.one_in(3)) {
        file = held_[random_.below(held_.size())];
        file.held = file.descriptor >= 0;
        if (file.held) {
            note(format("held inode %lu", file.inode));
            return 0;
        }
    }
    file = File{};
    file.descriptor = open(name().c_str(), flags | O_NONBLOCK | O_CLOEXEC);
    if (file.descriptor < 0) {
        const bool no_file = errno == EISDIR || errno == ENXIO || errno == EACCES ||
                             (errno == EINVAL && (flags & O_DIRECT)); // a FIFO, or no such mode
        return no_file ? ENOENT : errno;
    }
    struct stat info {};
    if (fstat(file.descriptor, &info) != 0)
        throw Violation(format("fstat: %s", std::strerror(errno)));
    file.inode = info.st_ino;
    if (S_ISREG(info.st_mode))
        return 0;
    close(file.descriptor);
    return ENOENT;
}

void Actor::close_file(const File &file) {
    if (!file.held && close(file.descriptor) != 0)
        throw Violation(format("close: %s", std::strerror(errno)));
}

int Actor::write_data() {
    File file;
    if (const int error = open_regular(file, O_RDWR | (random_.one_in(6) ? O_DIRECT : 0)))
        return error;
    const auto offset = aligned_offset();
    const auto words = fresh_words(file, aligned_length() / word_size);
    note(format("0x%lx+0x%lx", offset, words.size_bytes()));
    const auto put =
        pwrite(file.descriptor, words.data(), words.size_bytes(), static_cast<off_t>(offset));
    const int error = put < 0 ? errno : 0;
    close_file(file);
    return error == EINVAL ? ENOENT : error; // misaligned for O_DIRECT
}

int Actor::append_data() {
    File file;
    if (const int error = open_regular(file, O_WRONLY | O_APPEND))
        return error;
    struct stat info {};
    const bool full =
        fstat(file.descriptor, &info) == 0 && info.st_size > static_cast<off_t>(file_size_max);
    const auto words = fresh_words(file, random_.length(1000));
    const auto put =
        full || file.held ? 0 : write(file.descriptor, words.data(), words.size_bytes());
    const int error = put < 0 ? errno : 0;
    close_file(file);
    return error;
}

int Actor::read_data() {
    File file;
    if (const int error = open_regular(file, O_RDONLY))
        return error;
    const auto offset = aligned_offset();
    const auto length = aligned_length();
    note(format("0x%lx+0x%lx", offset, length));
    const auto got = pread(file.descriptor, words_.data(), length, static_cast<off_t>(offset));
    const int error = got < 0 ? errno : 0;
    close_file(file);
    if (got > 0)
        check_words(file, offset,
                    std::span(words_).first(static_cast<std::uint64_t>(got) / word_size));
    return error;
}

int Actor::truncate_file() {
    File file;
    if (const int error = open_regular(file, O_RDWR))
        return error;
    const auto size = random_.one_in(4) ? 0 : aligned_offset();
    note(format("to 0x%lx", size));
    const int error = ftruncate(file.descriptor, static_cast<off_t>(size)) ? errno : 0;
    close_file(file);
    return error;
}

int Actor::fallocate_with(int mode) {
    File file;
    if (const int error = open_regular(file, O_RDWR))
        return error;
    const auto offset = aligned_offset();
    const auto length = aligned_length();
    note(format("0x%lx+0x%lx%s", offset, length, mode & FALLOC_FL_KEEP_SIZE ? " keep size" : ""));
    const int error =
        fallocate(file.descriptor, mode, static_cast<off_t>(offset), static_cast<off_t>(length))
            ? errno
            : 0;
    close_file(file);
    return error;
}

int Actor::allocate() {
    return fallocate_with(random_.one_in(2) ? FALLOC_FL_KEEP_SIZE : 0);
}

int Actor::punch() {
    return fallocate_with(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
}

int Actor::zero_range() {
    return fallocate_with(FALLOC_FL_ZERO_RANGE | (random_.one_in(2) ? FALLOC_FL_KEEP_SIZE : 0));
}

int Actor::copy_range() {
    File from;
    if (const int error = open_regular(from, O_RDWR))
        return error;
    File to = from;
    to.held = true; // closed once
    if (!own_data_only_)
        if (const int error = open_regular(to, O_RDWR)) {
            close_file(from);
            return error;
        }
    auto from_offset = static_cast<off_t>(aligned_offset());
    auto to_offset = static_cast<off_t>(aligned_offset());
    const auto length = aligned_length();
    note(format("0x%lx+0x%lx to 0x%lx", from_offset, length, to_offset));
    const auto got =
        copy_file_range(from.descriptor, &from_offset, to.descriptor, &to_offset, length, 0);
    const int error = got < 0 ? errno : 0;
    close_file(from);
    close_file(to);
    return error;
}

int Actor::sync_file() {
    File file;
    if (const int error = open_regular(file, O_RDWR))
        return error;
    const int result = random_.one_in(2) ? fsync(file.descriptor) : fdatasync(file.descriptor);
    const int error = result ? errno : 0;
    close_file(file);
    return error;
}

int Actor::map_file() {
    File file;
    if (const int error = open_regular(file, O_RDWR))
        return error;
    struct stat info {};
    const bool told = fstat(file.descriptor, &info) == 0;
    const auto length =
        std::min<std::uint64_t>(told ? static_cast<std::uint64_t>(info.st_size) : 0, file_size_max);
    int error = 0;
    if (length >= word_size) {
        void *made = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor, 0);
        error = made == MAP_FAILED ? errno : 0;
        if (error == 0) {
            auto *mapped = static_cast<std::uint64_t *>(made);
            const auto first = random_.below(length / word_size);
            const auto count = std::min(random_.length(4000), length / word_size - first);
            if (guarded_copy(words_.data(), mapped + first, count))
                check_words(file, first * word_size, std::span(words_).first(count));
            guarded_copy(mapped + first, fresh_words(file, count).data(), count);
            if (random_.one_in(2) && msync(made, length, MS_SYNC) != 0)
                error = errno;
            munmap(made, length);
        }
    }
    close_file(file);
    return error;
}

int Actor::seek_file() {
    File file;
    if (const int error = open_regular(file, O_RDONLY))
        return error;
    const auto found = lseek(file.descriptor, static_cast<off_t>(aligned_offset()),
                             random_.one_in(2) ? SEEK_DATA : SEEK_HOLE);
    const int error = found < 0 ? errno : 0;
    close_file(file);
    return error;
}

// A file of this process alone keeps what was written to it, without a name.
int Actor::own_file(int descriptor) {
    struct stat info {};
    if (fstat(descriptor, &info) != 0 || info.st_nlink != 0)
        throw Violation(format("an unlinked file has %lu links", info.st_nlink));
    const File file{.descriptor = descriptor, .inode = info.st_ino, .held = true};
    const auto words = fresh_words(file, random_.length(8000));
    const auto put = pwrite(descriptor, words.data(), words.size_bytes(), 4096);
    if (put < 0)
        return errno;
    const auto written = words.first(static_cast<std::size_t>(put) / word_size);
    std::vector<std::uint64_t> back(written.size());
    const auto got = pread(descriptor, back.data(), written.size_bytes(), 4096);
    if (got != static_cast<ssize_t>(written.size_bytes()) ||
        !std::equal(back.begin(), back.end(), written.begin()))
        throw Violation("an unlinked file does not hold what was written to it");
    return 0;
}

int Actor::unlinked_file() {
    const auto path = folder() + format("u%02u", process_);
    note(path);
    const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return errno == EEXIST ? ENOENT : errno;
    // The directory may be moved away in between; then its name remains, and is met again.
    const int error = unlink(path.c_str()) ? errno : own_file(descriptor);
    close(descriptor);
    return error;
}

int Actor::nameless_file() {
    const auto path = folder();
    note(path);
    const int descriptor = open(path.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return errno;
    int error = own_file(descriptor);
    if (error == 0 && random_.one_in(2))
        error = linkat(AT_FDCWD, format("/proc/self/fd/%d", descriptor).c_str(), AT_FDCWD,
                       file_name().c_str(), AT_SYMLINK_FOLLOW)
                    ? errno
                    : 0;
    close(descriptor);
    return error;
}

// Keeps a file open, whatever becomes of its names, and lets go of another.
int Actor::hold_file() {
    auto &place = held_[random_.below(held_.size())];
    if (place.descriptor >= 0)
        close(place.descriptor);
    place = File{};
    File file;
    if (const int error = open_regular(file, O_RDWR))
        return error;
    if (!file.held)
        place = file;
    return 0;
}

} // namespace stress
