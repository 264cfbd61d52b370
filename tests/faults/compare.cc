// SPDX-License-Identifier: BSD-3-Clause
#include "faults/compare.h"

#include "format/layout.h"

namespace daxpin::faults {

namespace {

using crash::Dump;
using crash::DumpFile;

constexpr const char *lost_found = "lost+found";

struct Name {
    std::uint64_t directory;
    std::string text;
    auto operator<=>(const Name &) const = default;
};

std::map<Name, std::uint64_t> names_of(const Dump &dump) {
    std::map<Name, std::uint64_t> names;
    for (const auto &[path, number] : dump.names) {
        if (path.empty())
            continue;
        const std::size_t slash = path.rfind('/');
        const std::string parent = slash == std::string::npos ? "" : path.substr(0, slash);
        names.emplace(Name{dump.names.at(parent), path.substr(slash + 1)}, number);
    }
    return names;
}

class Comparer {
  public:
    Comparer(const Dump &before, const Dump &after, const std::set<std::uint64_t> &hit)
        : before_(before), after_(after), hit_(hit), names_before_(names_of(before)),
          names_after_(names_of(after)) {
        const auto found = after.names.find(lost_found);
        if (found != after.names.end())
            lost_found_ = found->second;
    }

    Comparison run() {
        for (const auto &[name, number] : names_before_)
            check_name(name, number);
        for (const auto &[number, file] : before_.files)
            check_file(number, file);
        for (const auto &[number, file] : after_.files)
            if (!before_.files.contains(number) && number != lost_found_ && !hit_.contains(number))
                problem("inode " + std::to_string(number), "was not there before");
        return std::move(result_);
    }

  private:
    void problem(const std::string &what, const std::string &how) {
        if (result_.problem.empty())
            result_.problem = what + ": " + how;
    }

    void check_name(const Name &name, std::uint64_t number) {
        const auto is = names_after_.find(name);
        if (is != names_after_.end() && is->second == number)
            return;
        if (!hit_.contains(name.directory) && !hit_.contains(number))
            problem("\"" + name.text + "\" in directory " + std::to_string(name.directory),
                    is == names_after_.end() ? "is lost" : "leads elsewhere");
        result_.affected.insert(hit_.contains(number) ? number : name.directory);
    }

    void check_file(std::uint64_t number, const DumpFile &file) {
        const auto is = after_.files.find(number);
        if (is == after_.files.end()) {
            if (!hit_.contains(number))
                problem("inode " + std::to_string(number), "is lost");
            result_.affected.insert(number);
            return;
        }
        DumpFile allowed = file;
        if (!hit_.contains(number))
            allow_counts(number, allowed.attributes, is->second.attributes);
        const std::string text = difference(is->second, allowed, true);
        if (text.empty())
            return;
        if (!hit_.contains(number))
            problem("inode " + std::to_string(number), text);
        result_.affected.insert(number);
    }

    void allow_counts(std::uint64_t number, volume::Attributes &allowed,
                      const volume::Attributes &is) const {
        bool counts = number == format::root_inode && lost_found_ != 0;
        for (const auto &[name, target] : names_before_) {
            if (target == number && hit_.contains(name.directory)) {
                allowed.parent = is.parent;
                allowed.link_count = is.link_count;
            }
            counts = counts || (name.directory == number && hit_.contains(target));
        }
        // An older copy of a leaf has names that were gone.
        for (const auto &[name, target] : names_after_)
            if (target == number && hit_.contains(name.directory))
                allowed.link_count = is.link_count;
        if (counts) {
            allowed.size = is.size;
            allowed.link_count = is.link_count;
        }
    }

    const Dump &before_;
    const Dump &after_;
    const std::set<std::uint64_t> &hit_;
    const std::map<Name, std::uint64_t> names_before_;
    const std::map<Name, std::uint64_t> names_after_;
    std::uint64_t lost_found_ = 0;
    Comparison result_;
};

} // namespace

namespace {

bool same(const Dump &one, const Dump &other, std::uint64_t number) {
    const auto a = one.files.find(number);
    const auto b = other.files.find(number);
    if (a == one.files.end() || b == other.files.end())
        return a == one.files.end() && b == other.files.end();
    return difference(a->second, b->second, true).empty();
}

} // namespace

std::string neither(const std::set<std::uint64_t> &affected, const Dump &found, const Dump &now,
                    const Dump &then) {
    for (const std::uint64_t number : affected)
        if (!same(found, now, number) && !same(found, then, number))
            return "inode " + std::to_string(number) + " is neither what it is nor what it was";
    return {};
}

Comparison compare(const Dump &before, const Dump &after, const std::set<std::uint64_t> &hit) {
    return Comparer(before, after, hit).run();
}

} // namespace daxpin::faults
