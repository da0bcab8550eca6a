// MPI closes its plugins before LeakSanitizer looks, which then cannot name the frames that its suppressions match.
extern "C" int dlclose(void*) { return 0; }
