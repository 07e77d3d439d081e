// journals_register registers the VFS and returns its name, which SQLite's open function takes, or NULL
// where it can't be.
const char *journals_register(void);
