-- requant `multithreshold_4` of bipolar
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

entity bipolar_multithreshold_4 is
  port (
    clk : in  std_logic;
    from_matmul_2 : in  unsigned(35 downto 0);
    result : out unsigned(16 downto 0));
end entity bipolar_multithreshold_4;

architecture rtl of bipolar_multithreshold_4 is
  signal matmul_2_t14 : unsigned(3 downto 0);
  signal matmul_2_t15_r1 : unsigned(3 downto 0);
  signal matmul_2_t17 : unsigned(3 downto 0);
  signal matmul_2_t19 : unsigned(3 downto 0);
  signal matmul_2_t21 : unsigned(3 downto 0);
  signal matmul_2_t23 : unsigned(3 downto 0);
  signal matmul_2_t24 : unsigned(3 downto 0);
  signal matmul_2_t25 : unsigned(3 downto 0);
  signal matmul_2_t27 : unsigned(3 downto 0);
  signal y0 : std_logic;
  signal y0_r1 : std_logic;
  signal n1 : std_logic;
  signal n2 : std_logic;
  signal n3 : unsigned(1 downto 0);
  type table0_t is array (0 to 3) of unsigned(1 downto 0);
  constant table0 : table0_t := (
    0 => "00",
    1 => "01",
    2 => "10",
    3 => "10");
  signal y1 : unsigned(1 downto 0);
  signal n5 : std_logic;
  signal n6 : std_logic;
  signal n7 : std_logic;
  signal n8 : unsigned(2 downto 0);
  type table1_t is array (0 to 7) of unsigned(1 downto 0);
  constant table1 : table1_t := (
    0 => "11",
    1 => "10",
    2 => "01",
    3 => "01",
    4 => "00",
    5 => "00",
    6 => "00",
    7 => "00");
  signal y2 : unsigned(1 downto 0);
  signal y3 : std_logic;
  signal n11 : std_logic;
  signal n12 : std_logic;
  signal n13 : unsigned(1 downto 0);
  type table2_t is array (0 to 3) of unsigned(1 downto 0);
  constant table2 : table2_t := (
    0 => "00",
    1 => "10",
    2 => "11",
    3 => "11");
  signal y4 : unsigned(1 downto 0);
  signal n15 : std_logic;
  signal n16 : std_logic;
  signal n17 : unsigned(1 downto 0);
  signal n17_r1 : unsigned(1 downto 0);
  signal y5 : unsigned(1 downto 0);
  signal n19 : std_logic;
  signal n20 : std_logic;
  signal n21 : unsigned(1 downto 0);
  signal y6 : unsigned(1 downto 0);
  signal n23 : std_logic;
  signal n24 : std_logic;
  signal n25 : unsigned(1 downto 0);
  signal y7 : unsigned(1 downto 0);
  signal n27 : std_logic;
  signal n28 : std_logic;
  signal n29 : std_logic;
  signal n30 : unsigned(2 downto 0);
  signal y8 : unsigned(1 downto 0);
  signal y9 : std_logic;
begin
  matmul_2_t14 <= from_matmul_2(3 downto 0);
  matmul_2_t15_r1 <= from_matmul_2(7 downto 4);
  matmul_2_t17 <= from_matmul_2(11 downto 8);
  matmul_2_t19 <= from_matmul_2(15 downto 12);
  matmul_2_t21 <= from_matmul_2(19 downto 16);
  matmul_2_t23 <= from_matmul_2(23 downto 20);
  matmul_2_t24 <= from_matmul_2(27 downto 24);
  matmul_2_t25 <= from_matmul_2(31 downto 28);
  matmul_2_t27 <= from_matmul_2(35 downto 32);
  y0 <= not matmul_2_t14(3);  -- >= 0
  n1 <= (not matmul_2_t15_r1(3)) or matmul_2_t15_r1(2);  -- >= -4
  n2 <= (not matmul_2_t15_r1(3)) or (matmul_2_t15_r1(2) and matmul_2_t15_r1(1));  -- >= -2
  n3 <= n2 & n1;
  y1 <= table0(to_integer(n3));
  n5 <= (not matmul_2_t15_r1(3)) or ((and matmul_2_t15_r1(2 downto 1)) and matmul_2_t15_r1(0));  -- >= -1
  n6 <= (not matmul_2_t15_r1(3)) and (matmul_2_t15_r1(2) or matmul_2_t15_r1(1));  -- >= 2
  n7 <= (not matmul_2_t15_r1(3)) and (matmul_2_t15_r1(2) or (matmul_2_t15_r1(1) and matmul_2_t15_r1(0)));  -- >= 3
  n8 <= n7 & n6 & n5;
  y2 <= table1(to_integer(n8));
  y3 <= (not matmul_2_t24(3)) and ((or matmul_2_t24(2 downto 1)) or matmul_2_t24(0));  -- >= 1
  n11 <= (not matmul_2_t21(3)) or ((and matmul_2_t21(2 downto 1)) and matmul_2_t21(0));  -- >= -1
  n12 <= (not matmul_2_t21(3)) and (matmul_2_t21(2) and (matmul_2_t21(1) or matmul_2_t21(0)));  -- >= 5
  n13 <= n12 & n11;
  y4 <= table2(to_integer(n13));
  n15 <= (not matmul_2_t17(3)) or ((and matmul_2_t17(2 downto 1)) and matmul_2_t17(0));  -- >= -1
  n16 <= (not matmul_2_t17(3)) and matmul_2_t17(2);  -- >= 4
  n17 <= n16 & n15;
  y5 <= table0(to_integer(n17_r1));
  n19 <= (not matmul_2_t19(3)) or matmul_2_t19(2);  -- >= -4
  n20 <= (not matmul_2_t19(3)) and (matmul_2_t19(2) or matmul_2_t19(1));  -- >= 2
  n21 <= n20 & n19;
  y6 <= table0(to_integer(n21));
  n23 <= (not matmul_2_t23(3)) or (matmul_2_t23(2) and matmul_2_t23(1));  -- >= -2
  n24 <= (not matmul_2_t23(3)) and (matmul_2_t23(2) or matmul_2_t23(1));  -- >= 2
  n25 <= n24 & n23;
  y7 <= table0(to_integer(n25));
  n27 <= (not matmul_2_t25(3)) or (matmul_2_t25(2) and matmul_2_t25(1));  -- >= -2
  n28 <= (not matmul_2_t25(3)) and (matmul_2_t25(2) or (matmul_2_t25(1) and matmul_2_t25(0)));  -- >= 3
  n29 <= (not matmul_2_t25(3)) and matmul_2_t25(2);  -- >= 4
  n30 <= n29 & n28 & n27;
  y8 <= table1(to_integer(n30));
  y9 <= (not matmul_2_t27(3)) and matmul_2_t27(2);  -- >= 4
  result <= y9 & y8 & y7 & y6 & y5 & y4 & y3 & y2 & y1 & y0_r1;

  process (clk)
  begin
    if rising_edge(clk) then
      y0_r1 <= y0;
      n17_r1 <= n17;
    end if;
  end process;

end architecture rtl;
