// SPDX-License-Identifier: BSD-3-Clause
#include "fsx_hands.h"

#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace stress {
namespace {

sigjmp_buf fault_exit;
volatile sig_atomic_t fault_expected = 0;

void on_fault(int number) {
    if (fault_expected)
        siglongjmp(fault_exit, 1);
    signal(number, SIG_DFL);
}

// memcpy from or to a mapping of the file; false if the kernel refused a page with SIGBUS.
bool guarded_copy(void *to, const void *from, std::size_t length) {
    if (sigsetjmp(fault_exit, 1) != 0) {
        fault_expected = 0;
        return false;
    }
    fault_expected = 1;
    std::memcpy(to, from, length);
    fault_expected = 0;
    return true;
}

Answer answer(std::int64_t result) {
    Answer made;
    made.result = result;
    made.error = result < 0 ? errno : 0;
    return made;
}

int open_or_throw(const std::string &path, int flags) {
    const int descriptor = open(path.c_str(), flags | O_CLOEXEC);
    if (descriptor < 0)
        throw std::system_error(errno, std::generic_category(), path);
    return descriptor;
}

} // namespace

Hands::Hands(std::string path, std::uint64_t size_max, std::span<std::uint8_t> buffer)
    : path_(std::move(path)), size_max_(size_max), buffer_(buffer) {
    signal(SIGBUS, on_fault);
    for (int &descriptor : descriptors_)
        descriptor = open_or_throw(path_, O_RDWR);
}

Hands::~Hands() {
    unmap();
    for (const int descriptor : descriptors_)
        if (descriptor >= 0)
            close(descriptor);
}

Answer Hands::execute(const Order &order) {
    Answer made = perform(order);
    struct stat info {};
    if (fstat(descriptors_[order.descriptor], &info) != 0)
        return answer(-1);
    made.size = info.st_size;
    return made;
}

Answer Hands::perform(const Order &order) {
    switch (order.kind) {
    case Kind::read:
        return read(order);
    case Kind::write:
        return write(order);
    case Kind::mapped_read:
    case Kind::mapped_write:
        return mapped(order);
    case Kind::truncate:
        return answer(order.mode ? truncate(path_.c_str(), static_cast<off_t>(order.length))
                                 : ftruncate(descriptors_[order.descriptor],
                                             static_cast<off_t>(order.length)));
    case Kind::allocate:
    case Kind::punch:
    case Kind::zero:
    case Kind::collapse:
    case Kind::insert:
        return fallocate(order);
    case Kind::copy:
        return copy(order);
    case Kind::sync:
        return sync(order);
    case Kind::unmap:
        return unmap();
    case Kind::reopen:
        return reopen(order);
    case Kind::seek:
        return seek(order);
    case Kind::check:
        return check(order);
    }
    throw std::logic_error("an order of no kind");
}

// Stops at a short read of a direct descriptor: going on would be misaligned.
Answer Hands::read(const Order &order) {
    const bool direct = order.descriptor == 1 && (flags_ & O_DIRECT);
    std::uint64_t done = 0;
    while (done < order.length) {
        const auto got = pread(descriptors_[order.descriptor], buffer_.data() + done,
                               order.length - done, static_cast<off_t>(order.offset + done));
        if (got < 0)
            return answer(-1);
        done += static_cast<std::uint64_t>(got);
        if (got == 0 || direct)
            break;
    }
    return answer(static_cast<std::int64_t>(done));
}

Answer Hands::write(const Order &order) {
    std::uint64_t done = 0;
    while (done < order.length) {
        const auto put = pwrite(descriptors_[order.descriptor], buffer_.data() + done,
                                order.length - done, static_cast<off_t>(order.offset + done));
        if (put <= 0)
            return answer(-1);
        done += static_cast<std::uint64_t>(put);
    }
    return answer(static_cast<std::int64_t>(done));
}

// The mapping covers the largest size, and stays while the file shrinks and grows under it.
Answer Hands::mapped(const Order &order) {
    if (mapping_ == nullptr) {
        void *made = mmap(nullptr, size_max_, PROT_READ | PROT_WRITE, MAP_SHARED,
                          descriptors_[order.descriptor], 0);
        if (made == MAP_FAILED)
            return answer(-1);
        mapping_ = static_cast<std::uint8_t *>(made);
    }
    const bool good =
        order.kind == Kind::mapped_read
            ? guarded_copy(buffer_.data(), mapping_ + order.offset, order.length)
            : guarded_copy(mapping_ + order.offset, buffer_.data(), order.length + order.target);
    if (!good)
        errno = EFAULT;
    return answer(good ? static_cast<std::int64_t>(order.length) : -1);
}

Answer Hands::fallocate(const Order &order) {
    int mode = order.mode ? FALLOC_FL_KEEP_SIZE : 0;
    mode |= order.kind == Kind::punch      ? FALLOC_FL_PUNCH_HOLE
            : order.kind == Kind::zero     ? FALLOC_FL_ZERO_RANGE
            : order.kind == Kind::collapse ? FALLOC_FL_COLLAPSE_RANGE
            : order.kind == Kind::insert   ? FALLOC_FL_INSERT_RANGE
                                           : 0;
    return answer(::fallocate(descriptors_[order.descriptor], mode,
                              static_cast<off_t>(order.offset), static_cast<off_t>(order.length)));
}

Answer Hands::copy(const Order &order) {
    auto from = static_cast<off_t>(order.offset);
    auto to = static_cast<off_t>(order.target);
    std::uint64_t done = 0;
    while (done < order.length) {
        const auto got = copy_file_range(descriptors_[0], &from, descriptors_[order.descriptor],
                                         &to, order.length - done, 0);
        if (got < 0)
            return answer(-1);
        if (got == 0)
            break;
        done += static_cast<std::uint64_t>(got);
    }
    return answer(static_cast<std::int64_t>(done));
}

Answer Hands::sync(const Order &order) {
    if (order.mode == sync_mapping)
        return answer(mapping_ ? msync(mapping_, size_max_, MS_SYNC) : 0);
    const int descriptor = descriptors_[order.descriptor];
    return answer(order.mode == sync_data ? fdatasync(descriptor) : fsync(descriptor));
}

Answer Hands::unmap() {
    if (mapping_ != nullptr)
        munmap(mapping_, size_max_);
    mapping_ = nullptr;
    return answer(0);
}

Answer Hands::reopen(const Order &order) {
    close(descriptors_[1]);
    descriptors_[1] = open(path_.c_str(), O_RDWR | O_CLOEXEC | order.mode);
    flags_ = order.mode;
    if (descriptors_[1] < 0 && errno == EINVAL) { // no O_DIRECT here
        flags_ &= ~O_DIRECT;
        descriptors_[1] = open(path_.c_str(), O_RDWR | O_CLOEXEC | flags_);
    }
    return answer(descriptors_[1] < 0 ? -1 : 0);
}

Answer Hands::seek(const Order &order) {
    const auto find = [&](std::int64_t from, int whence) -> std::int64_t {
        const auto found = lseek(descriptors_[order.descriptor], from, whence);
        return found < 0 ? -errno : found;
    };
    Answer made;
    made.data = find(static_cast<std::int64_t>(order.offset), SEEK_DATA);
    made.hole = find(static_cast<std::int64_t>(order.offset), SEEK_HOLE);
    made.data_after_hole = made.hole < 0 ? made.hole : find(made.hole, SEEK_DATA);
    return made;
}

Answer Hands::check(const Order &order) {
    Order all = order;
    all.offset = 0;
    all.length = buffer_.size();
    return read(all);
}

Helper::Helper(const std::string &path, std::uint64_t size_max, std::span<std::uint8_t> buffer) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        throw std::system_error(errno, std::generic_category(), "socketpair");
    std::fflush(nullptr);
    pid_ = fork();
    if (pid_ < 0)
        throw std::system_error(errno, std::generic_category(), "fork");
    if (pid_ > 0) {
        close(ends[1]);
        socket_ = ends[0];
        return;
    }
    close(ends[0]);
    try {
        Hands hands(path, size_max, buffer);
        Order order;
        while (recv(ends[1], &order, sizeof(order), 0) == sizeof(order)) {
            const Answer made = hands.execute(order);
            if (send(ends[1], &made, sizeof(made), MSG_NOSIGNAL) != sizeof(made))
                break;
        }
    } catch (const std::exception &error) {
        std::fprintf(stderr, "the second process: %s\n", error.what());
        _exit(1);
    }
    _exit(0);
}

Helper::~Helper() {
    close(socket_); // it ends when there are no more orders
    waitpid(pid_, nullptr, 0);
}

Answer Helper::execute(const Order &order) {
    Answer made;
    if (send(socket_, &order, sizeof(order), MSG_NOSIGNAL) != sizeof(order) ||
        recv(socket_, &made, sizeof(made), 0) != sizeof(made))
        throw std::runtime_error("the second process has ended");
    return made;
}

} // namespace stress
