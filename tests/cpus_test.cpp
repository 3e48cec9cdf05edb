// CPU quotas of cgroups and cores, in trees that look like /proc and /sys; paths from environment
// variables.
#include "base/cpus.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/user_path.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

using Files = std::map<std::string, std::string>;

/// A tree of files that goes with the object.
class Tree {
 public:
  explicit Tree(const Files& files)
      : root_(fs::temp_directory_path() /
              ("aira-cpus-" + std::to_string(::getpid()) + "-" + std::to_string(++count_))) {
    for (const auto& [name, content] : files) {
      const fs::path path = root_ / name.substr(1);
      fs::create_directories(path.parent_path());
      std::ofstream(path) << content;
    }
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  ~Tree() { fs::remove_all(root_); }
  std::string root() const { return root_.string(); }

 private:
  static inline int count_ = 0;
  fs::path root_;
};

constexpr const char* kV2 =
    "29 1 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

/// The quota, or 0 for none.
double quota(const Files& files) { return cpu_quota(Tree(files).root()).value_or(0); }

TEST(CpuQuota, Version2) {
  Files files = {{"/proc/self/mountinfo", kV2},
                 {"/proc/self/cgroup", "0::/user.slice/job\n"},
                 {"/sys/fs/cgroup/user.slice/job/cpu.max", "50000 100000\n"}};
  EXPECT_EQ(quota(files), 0.5);
  files["/sys/fs/cgroup/user.slice/job/cpu.max"] = "max 100000\n";
  EXPECT_EQ(quota(files), 0);
  files["/sys/fs/cgroup/user.slice/cpu.max"] = "250000 100000\n";  // of a group around it
  EXPECT_EQ(quota(files), 2.5);
  files["/sys/fs/cgroup/user.slice/job/cpu.max"] = "300000 100000\n";
  EXPECT_EQ(quota(files), 2.5);
  files["/sys/fs/cgroup/user.slice/job/cpu.max"] = "150000 100000\n";
  EXPECT_EQ(quota(files), 1.5);
  files["/sys/fs/cgroup/cpu.max"] = "20000 100000\n";  // a container's own top
  EXPECT_EQ(quota(files), 0.2);
  files["/sys/fs/cgroup/other/cpu.max"] = "1000 100000\n";  // somebody else's
  EXPECT_EQ(quota(files), 0.2);
}

TEST(CpuQuota, Version1) {
  Files files = {{"/proc/self/mountinfo",
                  "25 1 0:20 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
                  "33 25 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
                  "34 25 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"},
                 {"/proc/self/cgroup", "5:cpuset:/\n4:cpu,cpuacct:/a/b c\n1:name=systemd:/x\n"},
                 {"/sys/fs/cgroup/cpu,cpuacct/a/b c/cpu.cfs_quota_us", "-1\n"},
                 {"/sys/fs/cgroup/cpu,cpuacct/a/b c/cpu.cfs_period_us", "100000\n"}};
  EXPECT_EQ(quota(files), 0);
  files["/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us"] = "40000\n";
  files["/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us"] = "20000\n";
  EXPECT_EQ(quota(files), 2);
  files["/sys/fs/cgroup/cpu,cpuacct/a/b c/cpu.cfs_quota_us"] = "150000\n";
  EXPECT_EQ(quota(files), 1.5);
}

TEST(CpuQuota, BothVersionsAtOnce) {
  const Files files = {{"/proc/self/mountinfo",
                        "34 25 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                        "35 25 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"},
                       {"/proc/self/cgroup", "1:cpu:/job\n0::/job\n"},
                       {"/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "300000\n"},
                       {"/sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n"}};
  EXPECT_EQ(quota(files), 3);
}

TEST(CpuQuota, InAContainer) {
  // A part of the hierarchy is mounted, and the cgroup is written from its own top.
  EXPECT_EQ(quota({{"/proc/self/mountinfo",
                    "34 25 0:28 /docker/12ab /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n"},
                   {"/proc/self/cgroup", "1:cpu:/docker/12ab/inner\n"},
                   {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "70000\n"},
                   {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
                   {"/sys/fs/cgroup/cpu/docker/12ab/cpu.cfs_quota_us", "1000\n"},
                   {"/sys/fs/cgroup/cpu/docker/12ab/cpu.cfs_period_us", "100000\n"}}),
            0.7);
  // A cgroup namespace that the process has been moved out of.
  EXPECT_EQ(quota({{"/proc/self/mountinfo", kV2},
                   {"/proc/self/cgroup", "0::/../other\n"},
                   {"/sys/fs/cgroup/cpu.max", "40000 100000\n"},
                   {"/sys/fs/other/cpu.max", "1000 100000\n"}}),
            0.4);
  // A place with a blank, as the kernel writes it.
  EXPECT_EQ(quota({{"/proc/self/mountinfo", "29 1 0:26 / /c\\040\\303\\251 rw - cgroup2 none rw\n"},
                   {"/proc/self/cgroup", "0::/\n"},
                   {"/c \xc3\xa9/cpu.max", "120000 100000\n"}}),
            1.2);
}

TEST(CpuQuota, NothingOfTheKind) {
  EXPECT_EQ(quota({}), 0);
  EXPECT_EQ(quota({{"/proc/self/mountinfo", "\n - \n1 2 3 - cgroup2\n - cgroup2 x rw\n"},
                   {"/proc/self/cgroup", "\n:\n::\n0:"}}),
            0);
  EXPECT_EQ(quota({{"/proc/self/mountinfo", kV2},
                   {"/proc/self/cgroup", "0::/a"},
                   {"/sys/fs/cgroup/a/cpu.max", "50000"},
                   {"/sys/fs/cgroup/cpu.max", "tudo 0\n"}}),
            0);
}

TEST(CountCores, SiblingsAreOne) {
  Files files;
  std::vector<int> all;
  for (int cpu = 0; cpu < 300; ++cpu) {
    const int core = cpu % 150;
    files["/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list"] =
        std::to_string(core) + "," + std::to_string(core + 150) + "\n";
    all.push_back(cpu);
  }
  const Tree tree(files);
  EXPECT_EQ(count_cores(all, tree.root()), 150);
  EXPECT_EQ(count_cores({1, 151, 7}, tree.root()), 2);
  EXPECT_EQ(count_cores({1500, 151}, tree.root()), 2);  // one that the files do not know
  EXPECT_EQ(count_cores({}, tree.root()), 0);
  const Tree ranges(
      Files{{"/sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "0-3,8\n"}});
  EXPECT_EQ(count_cores({2, 0, 1, 3, 8, 9}, ranges.root()), 2);
}

TEST(AllowedCpus, AreSome) { EXPECT_FALSE(allowed_cpus().empty()); }

TEST(ExpandPath, IsPythons) {
  ::setenv("HOME", "/casa/", 1);
  ::setenv("AIRA_TEST_LUGAR", "água", 1);
  for (const auto& [path, expected] :
       std::map<std::string, std::string>{{"", ""},
                                          {"~", "/casa"},
                                          {"~/x", "/casa/x"},
                                          {"a~/x", "a~/x"},
                                          {"~root/x", "/root/x"},
                                          {"~nobody-of-this-name/x", "~nobody-of-this-name/x"},
                                          {"/a/$AIRA_TEST_LUGAR/b", "/a/água/b"},
                                          {"${AIRA_TEST_LUGAR}s$", "águas$"},
                                          {"$AIRA_TEST_NONE/${AIRA_TEST_NONE}/${AIRA_TEST_LUGAR",
                                           "$AIRA_TEST_NONE/${AIRA_TEST_NONE}/${AIRA_TEST_LUGAR"},
                                          {"$$HOME${}", "$/casa/${}"}}) {
    EXPECT_EQ(expand_path(path), expected) << path;
  }
  ::setenv("HOME", "/", 1);
  EXPECT_EQ(expand_path("~"), "/");
  EXPECT_EQ(expand_path("~/x"), "/x");
}

}  // namespace
}  // namespace aira
