// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mkfs/image_file.h"

#include "base/size_text.h"
#include "base/unique_fd.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <sys/statvfs.h>
#include <unistd.h>

namespace daxpin::mkfs {

namespace {

constexpr std::uint64_t step_bytes = std::uint64_t{256} << 20;
constexpr int fatal_signals[] = {SIGHUP, SIGINT, SIGTERM};

// What the signal handler removes; points into the ImageFile that lives.
std::atomic<const char *> unfinished{nullptr};

void remove_and_die(int signal) {
    if (const char *path = unfinished.exchange(nullptr))
        unlink(path);
    std::signal(signal, SIG_DFL);
    raise(signal);
}

Error failed(const std::string &path, std::uint64_t size, int number) {
    if (number == EEXIST)
        return {Errc::exists, path + ": exists; remove it, or leave out --size to use it as it is"};
    if (number == ENOSPC || number == EFBIG || number == EDQUOT)
        return {from_errno(number),
                path + ": no space for a file of " + size_text(size) + " in its folder"};
    return {from_errno(number), path + ": cannot be made: " + std::strerror(number)};
}

// While it lives fatal signals wait: none comes between making the file and knowing of it.
class SignalsHeld {
  public:
    SignalsHeld() {
        sigset_t held;
        sigemptyset(&held);
        for (const int signal : fatal_signals)
            sigaddset(&held, signal);
        sigprocmask(SIG_BLOCK, &held, &before_);
    }
    ~SignalsHeld() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
    SignalsHeld(const SignalsHeld &) = delete;
    SignalsHeld &operator=(const SignalsHeld &) = delete;

  private:
    sigset_t before_;
};

// Asked first: filling a filesystem to find out that it is too small harms everybody on it, and
// on tmpfs the whole machine.
bool fits(int fd, std::uint64_t size) {
    struct statvfs status {};
    if (fstatvfs(fd, &status) != 0)
        return false;
    return size / status.f_frsize < status.f_bavail;
}

} // namespace

ImageFile::ImageFile(std::string path) : path_(std::move(path)) {
    unfinished = path_.c_str();
}

ImageFile::ImageFile(ImageFile &&other) noexcept {
    *this = std::move(other);
}

ImageFile &ImageFile::operator=(ImageFile &&other) noexcept {
    if (this != &other) {
        remove();
        unfinished = nullptr;
        path_ = std::exchange(other.path_, {});
        unfinished = path_.empty() ? nullptr : path_.c_str();
    }
    return *this;
}

void ImageFile::keep() noexcept {
    unfinished = nullptr;
    path_.clear();
}

void ImageFile::remove() noexcept {
    if (path_.empty())
        return;
    unfinished = nullptr;
    unlink(path_.c_str());
    path_.clear();
}

Result<ImageFile> ImageFile::create(const std::string &path, std::uint64_t size,
                                    const std::function<void(double done)> &progress) {
    if (size > std::uint64_t{INT64_MAX})
        return failed(path, size, EFBIG);
    std::optional<SignalsHeld> held(std::in_place);
    for (const int signal : fatal_signals)
        std::signal(signal, remove_and_die);
    const UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd)
        return failed(path, size, errno);
    ImageFile image(path);
    held.reset();
    if (!fits(fd.get(), size))
        return failed(path, size, ENOSPC);
    for (std::uint64_t done = 0; done < size;) {
        const std::uint64_t step = std::min(step_bytes, size - done);
        const int number =
            posix_fallocate(fd.get(), static_cast<off_t>(done), static_cast<off_t>(step));
        if (number == EINTR)
            continue;
        if (number != 0)
            return failed(path, size, number);
        done += step;
        progress(static_cast<double>(done) / static_cast<double>(size));
    }
    if (fsync(fd.get()) != 0)
        return failed(path, size, errno);
    return image;
}

} // namespace daxpin::mkfs
