// SPDX-License-Identifier: BSD-3-Clause
#include "faults/use.h"

#include "crash/executor.h"
#include "faults/walk.h"

#include <algorithm>

namespace daxpin::faults {

namespace {

using crash::Dump;
using crash::DumpFile;

constexpr unsigned background_steps_max = 10000;

class User {
  public:
    User(volume::Volume &volume, Dump &dump) : volume_(volume), executor_(volume), dump_(dump) {}

    std::string problem;

    void work_in(const std::string &directory) {
        const std::string made = path_in(directory, "~new");
        if (!run(crash::create(made)))
            return;
        add(made);
        write(made, 10, 5000);
        const std::string moved = path_in(directory, "~moved");
        if (run(crash::rename(made, moved)))
            rename(made, moved);
    }

    void work_on(const std::string &path) {
        const std::uint64_t number = dump_.names.at(path);
        const DumpFile &file = dump_.files.at(number);
        if (file.attributes.is_regular() && file.pinned_bytes == 0) {
            const std::uint64_t size = file.attributes.size;
            write(path, size + 100, 3);
            if (run(crash::truncate(path, size))) {
                dump_.files.at(number).data.resize(size);
                refresh(number);
            }
        }
        if (run(crash::set_xattr(path, "trusted.used", 40)))
            dump_.files.at(number).xattrs["trusted.used"] = crash::content(version_, 0, 40);
        refresh(number);
        if (file.attributes.is_directory() || file.pinned_bytes != 0)
            return;
        const std::string again = path + "~";
        if (run(crash::link(path, again)))
            dump_.names[again] = number;
        refresh(number);
        refresh(parent_of(path));
    }

    void remove(const std::string &path) {
        const std::uint64_t number = dump_.names.at(path);
        const auto known = dump_.files.find(number);
        if (known == dump_.files.end()) {
            run(crash::unlink(path));
            dump_.names.erase(path);
            return note(path, Error{Errc::corrupt, "its inode went with another name"});
        }
        DumpFile &file = known->second;
        if (file.pinned_bytes > 0 && run(crash::unpin(path, 0, 0))) {
            file.pinned_bytes = 0;
            file.pinned_whole = false;
            refresh(number);
        }
        const bool directory = file.attributes.is_directory();
        if (!run(directory ? crash::rmdir(path) : crash::unlink(path)))
            return;
        const std::uint64_t parent = parent_of(path);
        dump_.names.erase(path);
        forget_below(path);
        if (directory || file.attributes.link_count == 1)
            dump_.files.erase(number);
        else
            refresh(number);
        refresh(parent);
    }

    // No work that fails for damage goes on for ever.
    void finish() {
        for (unsigned i = 0; i < background_steps_max; ++i) {
            const auto more = volume_.background_step();
            if (!more)
                volume_.note_failure(more.error());
            if (!more && !may_be(more.code()))
                return note("background step", more.error());
            if (!more || !*more)
                return;
        }
        note("background step", Error{Errc::busy, "never ends"});
    }

  private:
    static std::string path_in(const std::string &directory, const std::string &name) {
        return directory.empty() ? name : directory + "/" + name;
    }

    std::uint64_t parent_of(const std::string &path) const {
        const std::size_t slash = path.rfind('/');
        return dump_.names.at(slash == std::string::npos ? "" : path.substr(0, slash));
    }

    // Names that went along with their directory, which was not empty.
    void forget_below(const std::string &directory) {
        const std::string prefix = directory + "/";
        auto at = dump_.names.lower_bound(prefix);
        while (at != dump_.names.end() && at->first.starts_with(prefix)) {
            note(at->first, Error{Errc::corrupt, "went along with its directory"});
            const std::uint64_t number = at->second;
            at = dump_.names.erase(at);
            const auto leads_there = [&](const auto &name) { return name.second == number; };
            if (std::ranges::none_of(dump_.names, leads_there))
                dump_.files.erase(number);
        }
    }

    bool may_be(Errc code) const {
        if (code == Errc::read_only)
            return volume_.read_only();
        return is_damage(code) || code == Errc::no_space;
    }

    void note(const std::string &what, const Error &error) {
        if (problem.empty())
            problem = what + ": " + daxpin::describe(error);
    }

    bool run(crash::Operation operation) {
        operation.version = ++version_;
        const auto done = executor_.run(operation);
        if (!done)
            volume_.note_failure(done.error());
        // A directory stays if something in it does; a file may stay pinned.
        const bool left_behind =
            !done && (done.code() == Errc::not_empty ||
                      (operation.op == crash::Op::unlink && done.code() == Errc::not_permitted));
        if (!done && !left_behind && !may_be(done.code()))
            note(crash::describe(operation), done.error());
        return done.has_value();
    }

    void write(const std::string &path, std::uint64_t offset, std::uint64_t length) {
        if (run(crash::write(path, offset, length))) {
            auto &data = dump_.files.at(dump_.names.at(path)).data;
            const auto bytes = crash::content(version_, offset, length);
            data.resize(std::max<std::size_t>(data.size(), offset + length));
            std::ranges::copy(bytes, data.begin() + static_cast<std::ptrdiff_t>(offset));
        }
        refresh(dump_.names.at(path));
    }

    void add(const std::string &path) {
        const auto found =
            volume_.lookup(InodeNumber{parent_of(path)}, path.substr(path.rfind('/') + 1));
        if (!found)
            return note("lookup of the new " + path, found.error());
        dump_.names[path] = found->number.value;
        dump_.files[found->number.value].attributes = *found;
        volume_.forget(found->number, 1);
        inherit_list(found->number);
        refresh(found->number.value);
        refresh(parent_of(path));
    }

    // From the directory's default access control list.
    void inherit_list(InodeNumber number) {
        static const std::string name = "system.posix_acl_access";
        if (const auto list = volume_.get_xattr(crash::superuser(), number, name))
            dump_.files.at(number.value).xattrs[name] = *list;
    }

    void rename(const std::string &from, const std::string &to) {
        dump_.names[to] = dump_.names.at(from);
        dump_.names.erase(from);
        refresh(dump_.names.at(to));
        refresh(parent_of(to));
    }

    // What an operation makes of times and counts is not the matter here; fsck sees the counts.
    void refresh(std::uint64_t number) {
        const auto attributes = volume_.attributes(InodeNumber{number});
        if (!attributes)
            return;
        auto &known = dump_.files.at(number).attributes;
        known = *attributes;
        known.block_count = 0;
        known.lease_boot = {};
    }

    volume::Volume &volume_;
    crash::Executor executor_;
    Dump &dump_;
    std::uint64_t version_ = 1000;
};

std::vector<std::string> paths_of(const Dump &dump) {
    std::vector<std::string> paths;
    for (const auto &[path, number] : dump.names)
        paths.push_back(path);
    return paths;
}

} // namespace

std::string use(volume::Volume &volume, Dump &dump) {
    User user(volume, dump);
    for (const std::string &path : paths_of(dump)) {
        if (dump.files.at(dump.names.at(path)).attributes.is_directory())
            user.work_in(path);
        if (!path.empty())
            user.work_on(path);
    }
    return user.problem;
}

std::string delete_all(volume::Volume &volume, Dump &dump) {
    User user(volume, dump);
    // Backwards in order of paths: children before their parents.
    const auto paths = paths_of(dump);
    for (auto path = paths.rbegin(); path != paths.rend(); ++path)
        if (!path->empty())
            user.remove(*path);
    user.finish();
    return user.problem;
}

} // namespace daxpin::faults
