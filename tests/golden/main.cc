// SPDX-License-Identifier: BSD-3-Clause
//
// golden: makes the golden images, and checks that they still open. Run by golden.py.
//
//     golden make FOLDER     writes NAME.DEVICE.img and NAME.txt for each scene
//     golden check FOLDER    reads them
#include "crash/executor.h"
#include "golden/description.h"
#include "tools/repair/repair.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace {

using namespace daxpin;
using namespace daxpin::golden;
namespace fs = std::filesystem;

constexpr unsigned background_steps_max = 10'000;

fs::path image_path(const fs::path &folder, const std::string &name, std::size_t device) {
    return folder / (name + "." + std::to_string(device) + ".img");
}

std::string read_file(const fs::path &path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

int make(const fs::path &folder) {
    for (const Scene &scene : scenes()) {
        const Media media = scene.make(scene);
        const auto text = description_of(media);
        if (!text) {
            std::fprintf(stderr, "%s: %s\n", scene.name, describe(text.error()).c_str());
            return 1;
        }
        for (std::size_t i = 0; i < media.size(); ++i) {
            const auto bytes = media[i]->bytes();
            std::ofstream(image_path(folder, scene.name, i), std::ios::binary)
                .write(reinterpret_cast<const char *>(bytes.data()),
                       static_cast<std::streamsize>(bytes.size()));
        }
        std::ofstream(folder / (std::string(scene.name) + ".txt"))
            << "SPDX-License-Identifier: BSD-3-Clause\n"
            << "A volume of format version 1: " << scene.about << ".\n"
            << *text;
    }
    return 0;
}

Media load(const fs::path &folder, const std::string &name) {
    Media media;
    for (std::size_t i = 0; fs::exists(image_path(folder, name, i)); ++i) {
        const std::string bytes = read_file(image_path(folder, name, i));
        test::SimOptions options;
        options.size = bytes.size();
        media.push_back(test::SimMedia::create(options));
        std::memcpy(media[i]->bytes().data(), bytes.data(), bytes.size());
    }
    return media;
}

// The first line in which they differ.
std::string first_difference(const std::string &found, const std::string &wanted) {
    std::istringstream a(found), b(wanted);
    std::string is, should_be;
    for (;;) {
        const bool more = static_cast<bool>(std::getline(a, is));
        if (!std::getline(b, should_be))
            should_be.clear();
        if (!more)
            is.clear();
        if (is != should_be || !more)
            return "\"" + is + "\" where there was \"" + should_be + "\"";
    }
}

class Check {
  public:
    Check(std::string name, Media media, const std::string &kept)
        : name_(std::move(name)), media_(std::move(media)),
          wanted_(kept.substr(std::min(kept.find("fsck: "), kept.size()))),
          content_(wanted_.substr(std::min(wanted_.find("/: "), wanted_.size()))) {}

    bool run() {
        const auto description = description_of(media_);
        if (!description)
            problem("mount", describe(description.error()));
        else if (*description != wanted_)
            problem("description", first_difference(*description, wanted_));
        read_only();
        repaired();
        recovered();
        std::printf("%-20s %s\n", name_.c_str(), ok_ ? "as it was" : "FAILED");
        return ok_;
    }

  private:
    void problem(const std::string &when, const std::string &what) {
        std::printf("%s: %s: %s\n", name_.c_str(), when.c_str(), what.c_str());
        ok_ = false;
    }

    std::unique_ptr<volume::Volume> mount(const std::string &when, const Media &media,
                                          bool read_only) {
        volume::Options options;
        options.atime = volume::Atime::none;
        options.read_only = read_only;
        auto volume = volume::Volume::open(test::open_table(media), env_, options);
        if (!volume) {
            problem(when, describe(volume.error()));
            return nullptr;
        }
        const auto content = content_of(**volume);
        if (!content)
            problem(when, describe(content.error()));
        else if (*content != content_)
            problem(when, first_difference(*content, content_));
        return std::move(*volume);
    }

    void expect_clean(const std::string &when, const Media &media) {
        for (const auto &finding : fsck::check(test::open_table(media)).findings)
            problem(when, "fsck: " + finding.text);
    }

    void read_only() { mount("mount -o ro", clones(media_), true); }

    void repaired() {
        const Media media = clones(media_);
        auto devices = test::open_table(media);
        const auto outcome = repair::repair(devices, env_);
        if (!outcome.after.clean() || !outcome.failed.empty())
            problem("fsck -y", "not clean");
        mount("mount after fsck -y", media, false);
    }

    // Recovery, what is left to be done in the background, some use, unmount.
    void recovered() {
        const Media media = clones(media_);
        if (auto volume = mount("mount", media, false)) {
            for (unsigned i = 0; i < background_steps_max; ++i) {
                const auto more = volume->background_step();
                if (!more)
                    problem("background work", describe(more.error()));
                if (!more || !*more)
                    break;
            }
            crash::Executor executor(*volume);
            for (const auto &operation : {crash::mkdir("made now"), crash::rmdir("made now")})
                if (const auto done = executor.run(operation); !done)
                    problem(crash::describe(operation), describe(done.error()));
        }
        expect_clean("after recovery and use", media);
    }

    const std::string name_;
    const Media media_;
    const std::string wanted_;
    const std::string content_;
    test::TestEnv env_{7};
    bool ok_ = true;
};

int check(const fs::path &folder) {
    std::vector<std::string> names;
    for (const auto &entry : fs::directory_iterator(folder))
        if (entry.path().extension() == ".txt")
            names.push_back(entry.path().stem());
    std::ranges::sort(names);
    unsigned passed = 0;
    for (const auto &name : names)
        passed += Check(name, load(folder, name), read_file(folder / (name + ".txt"))).run();
    std::printf("\n%u passed, %zu failed, 0 skipped\n", passed, names.size() - passed);
    return names.empty() || passed != names.size();
}

} // namespace

int main(int argc, char **argv) {
    if (argc == 3 && std::strcmp(argv[1], "make") == 0)
        return make(argv[2]);
    if (argc == 3 && std::strcmp(argv[1], "check") == 0)
        return check(argv[2]);
    std::fputs("usage: golden make|check FOLDER\n", stderr);
    return 2;
}
