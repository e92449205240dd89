// Package tuning reads what this host is and how its kernel is set: the facts that decide what a
// broker on it can do, and without which a measured figure cannot be judged or repeated.
//
// Gather only reads. It writes nothing, runs no command, loads nothing, and needs no privilege:
// a fact that this user, kernel or container does not show carries the reason in place of its
// value, so that two reports can be compared line by line. It never fails as a whole.
//
// All files are read below Options.Root, by default "/"; the sources are named with each group of
// facts (proc(5), sysfs(5), cgroups(7), and the kernel's documentation under admin-guide/sysctl).
// What has no file (a file system's size, the loopback's offloads) comes from system calls, which
// Options can replace together with the root.
package tuning
