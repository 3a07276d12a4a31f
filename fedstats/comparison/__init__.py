"""Privacy settings side by side: what each costs, how exact it is, and what it leaks (`fedstats bench privacy`)."""
